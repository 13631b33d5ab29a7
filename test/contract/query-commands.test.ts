/** Commands that ask Keystone with the token of get-token: token, whoami, projects, domains, catalog. */
import type { Test } from 'tap';
import { makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home, RunResult } from '../support/run-plugin.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

interface QueryFixture {
  readonly home: Home;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunResult>;
  countPosts(): number;
}

/** Alice on demo, in a home of her own. */
function setUpQueries(t: Test, { http, tenancy }: TestEnvironment): QueryFixture {
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  const mark = watchRequests(http);
  const { alice } = tenancy.users;
  const login = {
    OS_AUTH_URL: mark.url,
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
      listRequests(mark).filter(({ method, path }) => method === 'POST' && path.includes('auth/tokens')).length,
  };
}

testWithKeystone('token: the one that kubectl gets, alone or as a header', async (t, world) => {
  const desk = setUpQueries(t, world);
  const bare = await desk.run(['token']);
  t.same([bare.status, bare.stderr], [0, '']);
  const token = bare.stdout.trimEnd();
  t.match(token, /^[\x21-\x7e]{100,}$/);
  t.equal((await desk.run(['token', '--header', 'authorization'])).stdout, `Authorization: Bearer ${token}\n`);
  t.equal((await desk.run(['token', '--header=x-auth-token'])).stdout, `X-Auth-Token: ${token}\n`);
  t.equal((await desk.run(['token', '--raw-authorization'])).stdout, `Authorization: ${token}\n`);
  const both = await desk.run(['token', '--raw-authorization', '--header=x-auth-token']);
  t.match(both, { status: 2, stdout: '', stderr: /--header and --raw-authorization/ });
  const credential = JSON.parse((await desk.run([])).stdout) as { status: { token: string } };
  t.equal(credential.status.token, token, 'kubectl gets the same');
  t.equal(desk.countPosts(), 1, 'one login for all');
});

testWithKeystone('a command never answers for get-token, nor get-token for a command', async (t, world) => {
  const desk = setUpQueries(t, world);
  const first = await desk.run(['whoami', '-o', 'json']);
  const second = await desk.run(['whoami', '-o', 'json']);
  t.notMatch(second.stdout, /ExecCredential/);
  t.match(JSON.parse(second.stdout), { user: (JSON.parse(first.stdout) as { user: unknown }).user });
  t.equal(desk.countPosts(), 1);
});

testWithKeystone('whoami: for people and for programs', async (t, world) => {
  const desk = setUpQueries(t, world);
  const { alice } = world.tenancy.users;
  const { demo } = world.tenancy.projects;
  const text = await desk.run(['whoami']);
  t.same([text.status, text.stderr], [0, '']);
  t.match(text.stdout, new RegExp(`^User +alice \\(${alice.id}, domain My Domain\\)$`, 'm'));
  t.match(text.stdout, new RegExp(`^Project +demo \\(${demo.id}, domain My Domain\\)$`, 'm'));
  t.match(text.stdout, new RegExp(`^Groups in the cluster +${demo.id}$`, 'm'));
  t.match(text.stdout, /^Logged in by +password$/m);
  t.match(text.stdout, /^Token ends +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(in \d+ (?:h|min).*\)$/m);
  t.notMatch(text.stdout, /\u001b/, 'no colours in a pipe');
  const json = JSON.parse((await desk.run(['whoami', '-o', 'json'])).stdout) as {
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
  const yaml = await desk.run(['whoami', '-o', 'yaml']);
  t.match(yaml.stdout, new RegExp(`^user:\\n  id: ${alice.id}\\n  name: alice\\n`));
});

testWithKeystone('projects, domains, catalog', async (t, world) => {
  const desk = setUpQueries(t, world);
  const { projects } = world.tenancy;
  const list = JSON.parse((await desk.run(['projects', '-o', 'json'])).stdout) as { name: string; id: string }[];
  t.same(list.map(({ id }) => id).toSorted(), [projects.demo.id, projects.other.id].toSorted());
  const table = await desk.run(['projects']);
  t.match(table.stdout, /^NAME +ID +DOMAIN ID +ENABLED\n/);
  t.match(table.stdout, new RegExp(`^demo +${projects.demo.id} +\\S+ +yes$`, 'm'));
  const domains = JSON.parse((await desk.run(['domains', '-o', 'json'])).stdout) as unknown;
  t.match(domains, [{ name: world.tenancy.domain.name, id: world.tenancy.domain.id, enabled: true }]);
  const catalog = await desk.run(['catalog']);
  t.match(catalog, { status: 0, stdout: /^SERVICE +TYPE +REGION +INTERFACE +URL/ });
  t.equal(desk.countPosts(), 1);
});

testWithKeystone('a refused login ends a command as it ends get-token', async (t, world) => {
  const desk = setUpQueries(t, world);
  const wrong = await desk.run(['whoami'], { OS_PASSWORD: 'not-hers-canary' });
  t.match(wrong, { status: 5, stdout: '', stderr: /^client-keystone-auth: Keystone refused [^\n]*\n$/ });
  t.notMatch(wrong.stderr, /canary/);
});

testWithKeystone('levels of -v: steps, then requests; never a secret', async (t, world) => {
  const desk = setUpQueries(t, world);
  const { alice } = world.tenancy.users;
  const quiet = await desk.run(['whoami', '-v', '--force-refresh']);
  t.match(quiet.stderr, /logging in alice/);
  t.notMatch(quiet.stderr, /POST/);
  const loud = await desk.run(['whoami', '-vv', '--force-refresh']);
  t.match(loud.stderr, /POST http:\/\/\S+\/v3\/auth\/tokens answered 201 in \d+ ms \(req-[^)]+\)/);
  const token = (await desk.run(['token'])).stdout.trimEnd();
  const loudest = await desk.run(['whoami', '-vvv', '--force-refresh', '--log-format=json']);
  for (const line of loudest.stderr.trimEnd().split('\n')) t.equal(typeof JSON.parse(line), 'object');
  t.match(loudest.stderr, /content-type/);
  for (const { stderr } of [quiet, loud, loudest]) {
    t.notOk(stderr.includes(alice.password) || stderr.includes(token), 'no secret');
    t.notMatch(stderr, /x-subject-token/i);
  }
});
