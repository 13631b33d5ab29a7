/** Commands that call Keystone with the token of get-token: token, whoami, projects, domains, catalog. */
import { setUpAlice } from '../support/alice.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('token prints the same token that kubectl gets, alone or as a header', async (t, environment) => {
  const user = setUpAlice(t, environment, { path: '' });
  const bare = await user.run('token');
  t.same([bare.status, bare.stderr], [0, '']);
  const token = bare.stdout.trimEnd();
  t.match(token, /^[\x21-\x7e]{100,}$/);
  t.equal((await user.run('token', '--header', 'authorization')).stdout, `Authorization: Bearer ${token}\n`);
  t.equal((await user.run('token', '--header=x-auth-token')).stdout, `X-Auth-Token: ${token}\n`);
  t.equal((await user.run('token', '--raw-authorization')).stdout, `Authorization: ${token}\n`);
  const conflicting = await user.run('token', '--raw-authorization', '--header=x-auth-token');
  t.match(conflicting, { status: 2, stdout: '', stderr: /--header and --raw-authorization/ });
  const credential = JSON.parse((await user.run()).stdout) as { status: { token: string } };
  t.equal(credential.status.token, token, 'kubectl gets the same token');
  t.equal(user.countLogins(), 1, 'one login for all commands');
});

testWithKeystone('a command and get-token with the same arguments do not share a fast path', async (t, environment) => {
  const user = setUpAlice(t, environment, { path: '' });
  const first = await user.run('whoami', '-o', 'json');
  const second = await user.run('whoami', '-o', 'json');
  t.notMatch(second.stdout, /ExecCredential/);
  t.match(JSON.parse(second.stdout), { user: (JSON.parse(first.stdout) as { user: unknown }).user });
  t.equal(user.countLogins(), 1);
});

testWithKeystone('whoami prints text, JSON and YAML', async (t, environment) => {
  const user = setUpAlice(t, environment, { path: '' });
  const { alice } = environment.tenancy.users;
  const { demo } = environment.tenancy.projects;
  const text = await user.run('whoami');
  t.same([text.status, text.stderr], [0, '']);
  t.match(text.stdout, new RegExp(`^User +alice \\(${alice.id}, domain My Domain\\)$`, 'm'));
  t.match(text.stdout, new RegExp(`^Project +demo \\(${demo.id}, domain My Domain\\)$`, 'm'));
  t.match(text.stdout, new RegExp(`^Groups in the cluster +${demo.id}$`, 'm'));
  t.match(text.stdout, /^Logged in with +password$/m);
  t.match(text.stdout, /^Token expires +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(in \d+ (?:h|min).*\)$/m);
  t.notMatch(text.stdout, /\u001b/, 'no colors in a pipe');
  const json = JSON.parse((await user.run('whoami', '-o', 'json')).stdout) as {
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
  const yaml = await user.run('whoami', '-o', 'yaml');
  t.match(yaml.stdout, new RegExp(`^user:\\n  id: ${alice.id}\\n  name: alice\\n`));
});

testWithKeystone('projects, domains and catalog print what Keystone lists', async (t, environment) => {
  const user = setUpAlice(t, environment, { path: '' });
  const { projects } = environment.tenancy;
  const list = JSON.parse((await user.run('projects', '-o', 'json')).stdout) as { name: string; id: string }[];
  t.same(list.map(({ id }) => id).toSorted(), [projects.demo.id, projects.other.id].toSorted());
  const table = await user.run('projects');
  t.match(table.stdout, /^NAME +ID +DOMAIN ID +ENABLED\n/);
  t.match(table.stdout, new RegExp(`^demo +${projects.demo.id} +\\S+ +yes$`, 'm'));
  const domains = JSON.parse((await user.run('domains', '-o', 'json')).stdout) as unknown;
  t.match(domains, [{ name: environment.tenancy.domain.name, id: environment.tenancy.domain.id, enabled: true }]);
  const catalog = await user.run('catalog');
  t.match(catalog, { status: 0, stdout: /^SERVICE +TYPE +REGION +INTERFACE +URL/ });
  t.equal(user.countLogins(), 1);
});

testWithKeystone('a refused login fails in a command as in get-token', async (t, environment) => {
  const user = setUpAlice(t, environment, { path: '' });
  const wrong = await user.with({ OS_PASSWORD: 'not-hers-canary' }).run('whoami');
  t.match(wrong, { status: 5, stdout: '', stderr: /^client-keystone-auth: Keystone refused [^\n]*\n$/ });
  t.notMatch(wrong.stderr, /canary/);
});

testWithKeystone('-v prints steps, -vv also requests, and neither prints secrets', async (t, environment) => {
  const user = setUpAlice(t, environment, { path: '' });
  const { alice } = environment.tenancy.users;
  const brief = await user.run('whoami', '-v', '--force-refresh');
  t.match(brief.stderr, /logging in alice/);
  t.notMatch(brief.stderr, /POST/);
  const verbose = await user.run('whoami', '-vv', '--force-refresh');
  t.match(verbose.stderr, /POST http:\/\/\S+\/v3\/auth\/tokens answered 201 in \d+ ms \(req-[^)]+\)/);
  const token = (await user.run('token')).stdout.trimEnd();
  const mostVerbose = await user.run('whoami', '-vvv', '--force-refresh', '--log-format=json');
  for (const line of mostVerbose.stderr.trimEnd().split('\n')) t.equal(typeof JSON.parse(line), 'object');
  t.match(mostVerbose.stderr, /content-type/);
  for (const { stderr } of [brief, verbose, mostVerbose]) {
    t.notOk(stderr.includes(alice.password) || stderr.includes(token), 'no secret');
    t.notMatch(stderr, /x-subject-token/i);
  }
});
