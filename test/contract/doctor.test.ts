// What doctor says of set-ups that work and of those that do not, against a real Keystone.

import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkNoSecretShown, listFailedChecks, findCheck } from '../support/doctor.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/check-run.ts';
import { makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/run-plugin.ts';
import { startConnectProxy } from '../support/proxy.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { WatchedAddress, TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(150_000);

interface DoctorCase {
  readonly home: Home;
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** The second run has a home of its own: what was refused once is not asked again in the first one. */
  readonly usesFreshHome?: true;
}

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

/** Runs it for people and for programs; both say the same. */
async function examine(
  t: Test,
  world: TestEnvironment,
  { home, env, args = ['--no-cluster'], usesFreshHome }: DoctorCase,
): Promise<DoctorCheck[]> {
  const text = await runPlugin({ home, args: ['doctor', ...args, '-vvv'], env });
  checkNoSecretShown(t, world, text);
  const data = await runPlugin({
    home: usesFreshHome === true ? setUpHome(t) : home,
    args: ['doctor', ...args, '-o', 'json'],
    env,
  });
  checkNoSecretShown(t, world, data);
  const findings = JSON.parse(data.stdout) as DoctorCheck[];
  const marks = { good: '✓', bad: '✗', doubtful: '!', skipped: '–' };
  const lines = text.stdout.split('\n').filter((line) => /^\S/.test(line));
  t.strictSame(
    lines.map((line) => line.slice(0, 1)),
    findings.map(({ result }) => marks[result]),
    text.stdout,
  );
  t.equal(
    text.status === 0,
    findings.every(({ result }) => result !== 'bad'),
    'the exit status tells',
  );
  t.not(text.status, 1, 'nothing has crashed');
  t.equal(data.status, text.status);
  for (const { result, found, fix, check } of findings) {
    if (result === 'skipped') t.match(found, /^not checked, because of ".+"$/, `why: ${check}`);
    t.equal(fix === null, result === 'good' || result === 'skipped', `a fix where one is needed: ${check}`);
    if (fix !== null) t.match(text.stdout, `→ ${fix}`);
  }
  return findings;
}

const statusesOfPosts = (mark: WatchedAddress): number[] =>
  listRequests(mark)
    .filter(({ method }) => method === 'POST')
    .map(({ status }) => status);

testWithKeystone('all is well', async (t, world) => {
  const home = setUpHome(t);
  const { domain, projects, users } = world.tenancy;
  const mark = watchRequests(world.tls);
  const login = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: world.pki.ca };
  const findings = await examine(t, world, { home, env: { OS_AUTH_URL: mark.url, ...login } });
  t.strictSame(
    findings.filter(({ result }) => result !== 'good'),
    [],
  );
  t.equal(findCheck(findings, 'settings').found, 'password, inferred from OS_PASSWORD');
  t.match(findCheck(findings, 'TLS').found, /ends in \d+ d.*TLSv1\.3/);
  t.match(findCheck(findings, 'Keystone').found, /^v3\.\d+ answers at /);
  t.match(
    findCheck(findings, 'scope').found,
    `project ${projects.demo.name} (domain ${domain.name}), as member, reader`,
  );
  t.match(findCheck(findings, 'methods').found, /\bpassword\b.*\btoken\b/);
  t.match(findCheck(findings, 'authorities').found, `${world.pki.ca} (OS_CACERT), certificates in it: 1`);
  t.match(findCheck(findings, 'login').found, 'the cache holds a token', 'in the second run');
  t.strictSame(statusesOfPosts(mark), [401, 201, 401], 'the two questions for methods, and one login');
});

testWithKeystone('the wrong authority', async (t, world) => {
  const home = setUpHome(t);
  const { domain, projects, users } = world.tenancy;
  const mark = watchRequests(world.tls);
  const login = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const env = { OS_AUTH_URL: `${mark.url}/v3`, ...login, OS_CACERT: world.pki.untrusted.ca };
  const findings = await examine(t, world, { home, env });
  t.strictSame(listFailedChecks(findings), ['TLS']);
  const { found, fix } = findCheck(findings, 'TLS');
  t.match(found, /certificate is not trusted \(the certificate of .+, issued by .+\)/);
  t.match(fix, 'OS_CACERT');
  t.equal(findCheck(findings, 'TCP').result, 'good');
  t.equal(findCheck(findings, 'login').result, 'skipped');
  t.strictSame(listRequests(mark), [], 'nothing is sent to such a server');

  const insecure = await examine(t, world, { home, env: { ...env, OS_INSECURE: 'true' } });
  t.strictSame(listFailedChecks(insecure), []);
  t.match(findCheck(insecure, 'TLS'), { result: 'doubtful', found: /not checked, because of OS_INSECURE/ });
});

testWithKeystone('an expired password, and a wrong project', async (t, world) => {
  const { domain, projects, users } = world.tenancy;
  const mark = watchRequests(world.http);
  const OS_AUTH_URL = `${mark.url}/v3`;
  const old = { OS_AUTH_URL, ...asUser(users.expired, domain), ...onProject(projects.demo, domain) };
  const expired = await examine(t, world, { home: setUpHome(t), env: old, usesFreshHome: true });
  t.strictSame(listFailedChecks(expired), ['login']);
  t.match(findCheck(expired, 'login').found, /password of .* has expired/);
  t.match(findCheck(expired, 'login').fix, 'openstack user password set');
  t.match(findCheck(expired, 'scope'), { result: 'skipped', found: 'not checked, because of "login"' });
  t.strictSame(statusesOfPosts(mark), [401, 401, 401, 401], 'in each run one question for methods and one login');

  const home = setUpHome(t);
  const nowhere = { OS_AUTH_URL, ...asUser(users.alice, domain), ...onProject({ name: 'no-such' }, domain) };
  const wrong = await examine(t, world, { home, env: nowhere, usesFreshHome: true });
  t.strictSame(listFailedChecks(wrong), ['login']);
  t.match(findCheck(wrong, 'login').found, /refused the login for alice .* on project no-such: .* no role there/);
  t.match(
    findCheck(wrong, 'login').fix,
    /"client-keystone-auth projects" works with OS_PROJECT_NAME unset, it is the project/,
  );
  // In a home of its own, for it is remembered for 30 s, and three doctors may take longer than that here.
  const lately = setUpHome(t);
  t.match(await runPlugin({ home: lately, env: nowhere }), { status: 5, stdout: '' });
  const again = await runPlugin({ home: lately, args: ['doctor', '--no-cluster'], env: nowhere });
  t.match(again, { status: 5, stdout: /this login was refused \d+ s ago, and is not tried again yet/ });
  const advised = await runPlugin({ home, args: ['projects'], env: { OS_AUTH_URL, ...asUser(users.alice, domain) } });
  t.match(advised, { status: 0, stdout: projects.demo.name }, 'what is advised helps');
});

testWithKeystone('a clock that is off', async (t, world) => {
  const keystone = await startKeystoneForTest(t);
  keystone.clockAheadSeconds = 3_600;
  const env = makeLoginSettings(`${keystone.url}/v3`);
  const findings = await examine(t, world, { home: setUpHome(t), env });
  t.strictSame(listFailedChecks(findings), ['clock']);
  t.match(findCheck(findings, 'clock').found, /^this machine's clock is (1 h|59 min).* behind Keystone's$/);
  t.match(findCheck(findings, 'clock').fix, /set the clock of this machine/);

  keystone.clockAheadSeconds = -60;
  const little = await examine(t, world, { home: setUpHome(t), env });
  t.strictSame(listFailedChecks(little), []);
  t.match(findCheck(little, 'clock'), { result: 'doubtful', found: /ahead of Keystone's/ });
});

testWithKeystone('scopes that no cluster takes, tokens that end soon, files that are open', async (t, world) => {
  const { domain, users } = world.tenancy;
  const OS_AUTH_URL = `${world.http.url}/v3`;
  const unscoped = { OS_AUTH_URL, ...asUser(users.alice, domain) };
  const none = await examine(t, world, { home: setUpHome(t), env: unscoped });
  t.match(findCheck(none, 'scope'), { result: 'doubtful', found: 'has no scope', fix: 'OS_PROJECT_NAME' });
  const onDomain = await examine(t, world, { home: setUpHome(t), env: { ...unscoped, OS_DOMAIN_NAME: domain.name } });
  t.match(findCheck(onDomain, 'scope'), { result: 'doubtful', found: `for domain ${domain.name}` });

  const short = await startKeystoneForTest(t, { lifetimeSeconds: 300 });
  const soon = await examine(t, world, { home: setUpHome(t), env: makeLoginSettings(short.url) });
  t.match(findCheck(soon, 'token lifetime'), { result: 'doubtful', found: /^5 min, of which/ });

  const home = setUpHome(t);
  const file = join(home.path, 'open.yaml');
  const auth = { auth_url: OS_AUTH_URL, username: users.alice.name, password: users.alice.password };
  writeFileSync(file, JSON.stringify({ clouds: { prod: { auth: { ...auth, user_domain_name: domain.name } } } }));
  chmodSync(file, 0o644);
  const open = await examine(t, world, { home, env: { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'prod' } });
  t.match(findCheck(open, 'secret files'), { result: 'doubtful', found: file, fix: `chmod 600 ${file}` });

  const ca = join(home.path, 'ca.pem');
  copyFileSync(world.pki.ca, ca);
  chmodSync(ca, 0o666);
  const shared = await examine(t, world, { home, env: { ...unscoped, OS_CACERT: ca } });
  t.match(findCheck(shared, 'authorities'), {
    result: 'doubtful',
    found: 'others may change',
    fix: `chmod go-w ${ca}`,
  });
});

testWithKeystone('a server that is not there, settings that are wrong, a proxy', async (t, world) => {
  const env = makeLoginSettings('http://127.0.0.1:1/v3');
  const gone = await examine(t, world, { home: setUpHome(t), env });
  t.strictSame(listFailedChecks(gone), ['TCP']);
  t.match(findCheck(gone, 'TCP'), { found: 'nothing listens there', fix: /check OS_AUTH_URL/ });
  const unknown = await examine(t, world, {
    home: setUpHome(t),
    env: makeLoginSettings('https://keystone.invalid/v3'),
  });
  t.strictSame(listFailedChecks(unknown), ['DNS']);

  const wrong = await examine(t, world, { home: setUpHome(t), env: { ...env, OS_AUTH_TYPE: 'no-such' } });
  t.strictSame(listFailedChecks(wrong), ['settings']);
  t.match(findCheck(wrong, 'settings').found, 'OS_AUTH_TYPE asks for "no-such"');
  t.equal(wrong.filter(({ result }) => result === 'skipped').length, wrong.length - 1);
  t.match(findCheck(wrong, 'login').found, 'because of "settings"');

  const proxy = await startConnectProxy();
  t.teardown(() => proxy.close());
  const { domain, projects, users } = world.tenancy;
  const login = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: world.pki.ca };
  const OS_AUTH_URL = `${world.tls.url}/v3`;
  const through = await examine(t, world, {
    home: setUpHome(t),
    env: { OS_AUTH_URL, ...login, HTTPS_PROXY: proxy.url.replace('//', `//squid:${PASSWORD}@`) },
  });
  t.strictSame(listFailedChecks(through), []);
  t.equal(findCheck(through, 'proxy').found, `${proxy.url} is used`);
  t.match(findCheck(through, 'TLS').result, 'good');
  for (const { plaintext } of proxy.tunnels) t.equal(plaintext, '', 'nothing but TLS in the tunnel');
});
