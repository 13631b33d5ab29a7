/** Commands that call Keystone with the token of get-token: token, whoami, projects, domains, catalog. */
import type { Test } from 'tap';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

interface QueryFixture {
  readonly home: Home;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunResult>;
  countPosts(): number;
}

/** Sets up a login of alice on project demo in a new home folder. */
function setUpQueries(t: Test, { http, tenancy }: TestEnvironment): QueryFixture {
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  const address = watchRequests(http);
  const { alice } = tenancy.users;
  const login = {
    OS_AUTH_URL: address.url,
    OS_USERNAME: alice.name,
    OS_PASSWORD: alice.password,
    OS_USER_DOMAIN_NAME: tenancy.domain.name,
    OS_PROJECT_NAME: tenancy.projects.demo.name,
    OS_PROJECT_DOMAIN_NAME: tenancy.domain.name,
  };
  return {
    home,
    run: (args, env = {}) => runPlugin({ home, args, env: { ...login, ...env } }),
    countPosts: () =>
      listRequests(address).filter(({ method, path }) => method === 'POST' && path.includes('auth/tokens')).length,
  };
}

testWithKeystone('token prints the same token that kubectl gets, alone or as a header', async (t, environment) => {
  const fixture = setUpQueries(t, environment);
  const bare = await fixture.run(['token']);
  t.same([bare.status, bare.stderr], [0, '']);
  const token = bare.stdout.trimEnd();
  t.match(token, /^[\x21-\x7e]{100,}$/);
  t.equal((await fixture.run(['token', '--header', 'authorization'])).stdout, `Authorization: Bearer ${token}\n`);
  t.equal((await fixture.run(['token', '--header=x-auth-token'])).stdout, `X-Auth-Token: ${token}\n`);
  t.equal((await fixture.run(['token', '--raw-authorization'])).stdout, `Authorization: ${token}\n`);
  const conflicting = await fixture.run(['token', '--raw-authorization', '--header=x-auth-token']);
  t.match(conflicting, { status: 2, stdout: '', stderr: /--header and --raw-authorization/ });
  const credential = JSON.parse((await fixture.run([])).stdout) as { status: { token: string } };
  t.equal(credential.status.token, token, 'kubectl gets the same token');
  t.equal(fixture.countPosts(), 1, 'one login for all commands');
});

testWithKeystone('a command and get-token with the same arguments do not share a fast path', async (t, environment) => {
  const fixture = setUpQueries(t, environment);
  const first = await fixture.run(['whoami', '-o', 'json']);
  const second = await fixture.run(['whoami', '-o', 'json']);
  t.notMatch(second.stdout, /ExecCredential/);
  t.match(JSON.parse(second.stdout), { user: (JSON.parse(first.stdout) as { user: unknown }).user });
  t.equal(fixture.countPosts(), 1);
});

testWithKeystone('whoami prints text, JSON and YAML', async (t, environment) => {
  const fixture = setUpQueries(t, environment);
  const { alice } = environment.tenancy.users;
  const { demo } = environment.tenancy.projects;
  const text = await fixture.run(['whoami']);
  t.same([text.status, text.stderr], [0, '']);
  t.match(text.stdout, new RegExp(`^User +alice \\(${alice.id}, domain My Domain\\)$`, 'm'));
  t.match(text.stdout, new RegExp(`^Project +demo \\(${demo.id}, domain My Domain\\)$`, 'm'));
  t.match(text.stdout, new RegExp(`^Groups in the cluster +${demo.id}$`, 'm'));
  t.match(text.stdout, /^Logged in with +password$/m);
  t.match(text.stdout, /^Token expires +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(in \d+ (?:h|min).*\)$/m);
  t.notMatch(text.stdout, /\u001b/, 'no colors in a pipe');
  const json = JSON.parse((await fixture.run(['whoami', '-o', 'json'])).stdout) as {
    roles: string[];
    secondsLeft: number;
  };
  t.match(json, {
    user: { id: alice.id, name: 'alice', domain: { name: 'My Domain' } },
    project: { id: demo.id, name: 'demo' },
    groups: [],
    cluster: { username: 'alice', groups: [demo.id] },
    methods: ['password'],
  });
  t.same(json.roles.toSorted(), ['member', 'reader']);
  t.ok(json.secondsLeft > 60);
  const yaml = await fixture.run(['whoami', '-o', 'yaml']);
  t.match(yaml.stdout, new RegExp(`^user:\\n  id: ${alice.id}\\n  name: alice\\n`));
});

testWithKeystone('projects, domains, catalog', async (t, environment) => {
  const fixture = setUpQueries(t, environment);
  const { projects } = environment.tenancy;
  const list = JSON.parse((await fixture.run(['projects', '-o', 'json'])).stdout) as { name: string; id: string }[];
  t.same(list.map(({ id }) => id).toSorted(), [projects.demo.id, projects.other.id].toSorted());
  const table = await fixture.run(['projects']);
  t.match(table.stdout, /^NAME +ID +DOMAIN ID +ENABLED\n/);
  t.match(table.stdout, new RegExp(`^demo +${projects.demo.id} +\\S+ +yes$`, 'm'));
  const domains = JSON.parse((await fixture.run(['domains', '-o', 'json'])).stdout) as unknown;
  t.match(domains, [{ name: environment.tenancy.domain.name, id: environment.tenancy.domain.id, enabled: true }]);
  const catalog = await fixture.run(['catalog']);
  t.match(catalog, { status: 0, stdout: /^SERVICE +TYPE +REGION +INTERFACE +URL/ });
  t.equal(fixture.countPosts(), 1);
});

testWithKeystone('a refused login fails in a command as in get-token', async (t, environment) => {
  const fixture = setUpQueries(t, environment);
  const wrong = await fixture.run(['whoami'], { OS_PASSWORD: 'not-hers-canary' });
  t.match(wrong, { status: 5, stdout: '', stderr: /^client-keystone-auth: Keystone refused [^\n]*\n$/ });
  t.notMatch(wrong.stderr, /canary/);
});

testWithKeystone('-v prints steps, -vv also requests, and neither prints secrets', async (t, environment) => {
  const fixture = setUpQueries(t, environment);
  const { alice } = environment.tenancy.users;
  const brief = await fixture.run(['whoami', '-v', '--force-refresh']);
  t.match(brief.stderr, /logging in alice/);
  t.notMatch(brief.stderr, /POST/);
  const verbose = await fixture.run(['whoami', '-vv', '--force-refresh']);
  t.match(verbose.stderr, /POST http:\/\/\S+\/v3\/auth\/tokens answered 201 in \d+ ms \(req-[^)]+\)/);
  const token = (await fixture.run(['token'])).stdout.trimEnd();
  const mostVerbose = await fixture.run(['whoami', '-vvv', '--force-refresh', '--log-format=json']);
  for (const line of mostVerbose.stderr.trimEnd().split('\n')) t.equal(typeof JSON.parse(line), 'object');
  t.match(mostVerbose.stderr, /content-type/);
  for (const { stderr } of [brief, verbose, mostVerbose]) {
    t.notOk(stderr.includes(alice.password) || stderr.includes(token), 'no secret');
    t.notMatch(stderr, /x-subject-token/i);
  }
});
