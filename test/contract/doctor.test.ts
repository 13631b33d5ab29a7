// The results of doctor for settings that work and for settings that do not, with a real Keystone.

import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkNoSecretShown, listFailedChecks, findCheck } from '../support/doctor.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import { startConnectProxy } from '../support/proxy.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { WatchedAddress } from '../support/request-log.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(150_000);

interface DoctorCase {
  readonly home: Home;
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** The second run has a home of its own, since the first one remembers a refusal. */
  readonly usesFreshHome?: true;
}

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

/** Runs doctor with output as text and as JSON, and checks that both agree. */
async function examine(
  t: Test,
  environment: TestEnvironment,
  { home, env, args = ['--no-cluster'], usesFreshHome }: DoctorCase,
): Promise<DoctorCheck[]> {
  const text = await runPlugin({ home, args: ['doctor', ...args, '-vvv'], env });
  checkNoSecretShown(t, environment, text);
  const data = await runPlugin({
    home: usesFreshHome === true ? setUpHome(t) : home,
    args: ['doctor', ...args, '-o', 'json'],
    env,
  });
  checkNoSecretShown(t, environment, data);
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
    'the exit status is 0 unless a check fails',
  );
  t.not(text.status, 1, 'no crash');
  t.equal(data.status, text.status);
  for (const { result, found, fix, check } of findings) {
    if (result === 'skipped') t.match(found, /^not checked, because of ".+"$/, `why: ${check}`);
    t.equal(fix === null, result === 'good' || result === 'skipped', `a fix where one is needed: ${check}`);
    if (fix !== null) t.match(text.stdout, `→ ${fix}`);
  }
  return findings;
}

const statusesOfPosts = (address: WatchedAddress): number[] =>
  listRequests(address)
    .filter(({ method }) => method === 'POST')
    .map(({ status }) => status);

testWithKeystone('everything works', async (t, environment) => {
  const home = setUpHome(t);
  const { domain, projects, users } = environment.tenancy;
  const address = watchRequests(getTlsKeystone());
  const login = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: environment.pki.ca };
  const findings = await examine(t, environment, { home, env: { OS_AUTH_URL: address.url, ...login } });
  t.strictSame(
    findings.filter(({ result }) => result !== 'good'),
    [],
  );
  t.equal(findCheck(findings, 'settings').found, 'password, inferred from OS_PASSWORD');
  t.match(findCheck(findings, 'TLS').found, /expires in \d+ d.*TLSv1\.3/);
  t.match(findCheck(findings, 'Keystone').found, /^v3\.\d+ answers at /);
  t.match(
    findCheck(findings, 'scope').found,
    `project ${projects.demo.name} (${projects.demo.id}, domain ${domain.name}), as member, reader`,
  );
  t.match(findCheck(findings, 'methods').found, /\bpassword\b.*\btoken\b/);
  t.match(findCheck(findings, 'authorities').found, `${environment.pki.ca} (OS_CACERT), certificates in it: 1`);
  t.match(findCheck(findings, 'login').found, 'the cache holds a token', 'no login in the second run');
  t.strictSame(statusesOfPosts(address), [401, 201, 401], 'two requests for the methods, and one login');
});

testWithKeystone('an untrusted certificate authority', async (t, environment) => {
  const home = setUpHome(t);
  const { domain, projects, users } = environment.tenancy;
  const address = watchRequests(getTlsKeystone());
  const login = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const env = { OS_AUTH_URL: `${address.url}/v3`, ...login, OS_CACERT: environment.pki.untrusted.ca };
  const findings = await examine(t, environment, { home, env });
  t.strictSame(listFailedChecks(findings), ['TLS']);
  const { found, fix } = findCheck(findings, 'TLS');
  t.match(found, /certificate is not trusted \(the certificate of .+, issued by .+\)/);
  t.match(fix, 'OS_CACERT');
  t.equal(findCheck(findings, 'TCP').result, 'good');
  t.equal(findCheck(findings, 'login').result, 'skipped');
  t.strictSame(listRequests(address), [], 'no request to such a server');

  const insecure = await examine(t, environment, { home, env: { ...env, OS_INSECURE: 'true' } });
  t.strictSame(listFailedChecks(insecure), []);
  t.match(findCheck(insecure, 'TLS'), { result: 'doubtful', found: /not verified, because of OS_INSECURE/ });
});

testWithKeystone('an expired password, and a wrong project', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const address = watchRequests(environment.http);
  const OS_AUTH_URL = `${address.url}/v3`;
  const old = { OS_AUTH_URL, ...asUser(users.expired, domain), ...onProject(projects.demo, domain) };
  const expired = await examine(t, environment, { home: setUpHome(t), env: old, usesFreshHome: true });
  t.strictSame(listFailedChecks(expired), ['login']);
  t.match(findCheck(expired, 'login').found, /password of .* has expired/);
  t.match(findCheck(expired, 'login').fix, 'openstack user password set');
  t.match(findCheck(expired, 'scope'), { result: 'skipped', found: 'not checked, because of "login"' });
  t.strictSame(statusesOfPosts(address), [401, 401, 401, 401], 'one request for the methods and one login in each run');

  const home = setUpHome(t);
  const nowhere = { OS_AUTH_URL, ...asUser(users.alice, domain), ...onProject({ name: 'no-such' }, domain) };
  const wrong = await examine(t, environment, { home, env: nowhere, usesFreshHome: true });
  t.strictSame(listFailedChecks(wrong), ['login']);
  t.match(
    findCheck(wrong, 'login').found,
    /refused the login for alice .* on project no-such: .* no role in the scope/,
  );
  t.match(
    findCheck(wrong, 'login').fix,
    /"client-keystone-auth projects" works with OS_PROJECT_NAME unset, the project is wrong/,
  );
  // Uses a home of its own: a refusal is remembered for 30 s, and three runs of doctor may take longer than that.
  const freshHome = setUpHome(t);
  t.match(await runPlugin({ home: freshHome, env: nowhere }), { status: 5, stdout: '' });
  const again = await runPlugin({ home: freshHome, args: ['doctor', '--no-cluster'], env: nowhere });
  t.match(again, { status: 5, stdout: /this login was refused \d+ s ago, and is not tried again yet/ });
  const projectList = await runPlugin({
    home,
    args: ['projects'],
    env: { OS_AUTH_URL, ...asUser(users.alice, domain) },
  });
  t.match(projectList, { status: 0, stdout: projects.demo.name }, 'the advice helps');
});

testWithKeystone('a wrong clock', async (t, environment) => {
  const keystone = await startKeystoneForTest(t);
  keystone.clockAheadSeconds = 3_600;
  const env = makeLoginSettings(`${keystone.url}/v3`);
  const findings = await examine(t, environment, { home: setUpHome(t), env });
  t.strictSame(listFailedChecks(findings), ['clock']);
  t.match(findCheck(findings, 'clock').found, /^this machine's clock is (1 h|59 min).* behind Keystone's$/);
  t.match(findCheck(findings, 'clock').fix, /set the clock of this machine/);

  keystone.clockAheadSeconds = -60;
  const smallSkew = await examine(t, environment, { home: setUpHome(t), env });
  t.strictSame(listFailedChecks(smallSkew), []);
  t.match(findCheck(smallSkew, 'clock'), { result: 'doubtful', found: /ahead of Keystone's/ });
});

testWithKeystone(
  'scopes that no cluster accepts, tokens that expire soon, files that others can read',
  async (t, environment) => {
    const { domain, users } = environment.tenancy;
    const OS_AUTH_URL = `${environment.http.url}/v3`;
    const unscoped = { OS_AUTH_URL, ...asUser(users.alice, domain) };
    const none = await examine(t, environment, { home: setUpHome(t), env: unscoped });
    t.match(findCheck(none, 'scope'), { result: 'doubtful', found: 'has no scope', fix: 'OS_PROJECT_NAME' });
    const onDomain = await examine(t, environment, {
      home: setUpHome(t),
      env: { ...unscoped, OS_DOMAIN_NAME: domain.name },
    });
    t.match(findCheck(onDomain, 'scope'), { result: 'doubtful', found: `for domain ${domain.name}` });

    const short = await startKeystoneForTest(t, { lifetimeSeconds: 300 });
    const soon = await examine(t, environment, { home: setUpHome(t), env: makeLoginSettings(short.url) });
    t.match(findCheck(soon, 'token lifetime'), { result: 'doubtful', found: /^5 min, of which/ });

    const home = setUpHome(t);
    const file = join(home.path, 'open.yaml');
    const auth = { auth_url: OS_AUTH_URL, username: users.alice.name, password: users.alice.password };
    writeFileSync(file, JSON.stringify({ clouds: { prod: { auth: { ...auth, user_domain_name: domain.name } } } }));
    chmodSync(file, 0o644);
    const open = await examine(t, environment, { home, env: { OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'prod' } });
    t.match(findCheck(open, 'secret files'), { result: 'doubtful', found: file, fix: `chmod 600 ${file}` });

    const ca = join(home.path, 'ca.pem');
    copyFileSync(environment.pki.ca, ca);
    chmodSync(ca, 0o666);
    const shared = await examine(t, environment, { home, env: { ...unscoped, OS_CACERT: ca } });
    t.match(findCheck(shared, 'authorities'), {
      result: 'doubtful',
      found: 'other users can change',
      fix: `chmod go-w ${ca}`,
    });
  },
);

testWithKeystone('no server, wrong settings, a proxy', async (t, environment) => {
  const env = makeLoginSettings('http://127.0.0.1:1/v3');
  const noServer = await examine(t, environment, { home: setUpHome(t), env });
  t.strictSame(listFailedChecks(noServer), ['TCP']);
  t.match(findCheck(noServer, 'TCP'), { found: 'nothing listens there', fix: /check OS_AUTH_URL/ });
  const unknown = await examine(t, environment, {
    home: setUpHome(t),
    env: makeLoginSettings('https://keystone.invalid/v3'),
  });
  t.strictSame(listFailedChecks(unknown), ['DNS']);

  const wrong = await examine(t, environment, { home: setUpHome(t), env: { ...env, OS_AUTH_TYPE: 'no-such' } });
  t.strictSame(listFailedChecks(wrong), ['settings']);
  t.match(findCheck(wrong, 'settings').found, 'OS_AUTH_TYPE asks for "no-such"');
  t.equal(wrong.filter(({ result }) => result === 'skipped').length, wrong.length - 1);
  t.match(findCheck(wrong, 'login').found, 'because of "settings"');

  const proxy = await startConnectProxy();
  t.teardown(() => proxy.close());
  const { domain, projects, users } = environment.tenancy;
  const login = { ...asUser(users.alice, domain), ...onProject(projects.demo, domain), OS_CACERT: environment.pki.ca };
  const OS_AUTH_URL = `${getTlsKeystone().url}/v3`;
  const through = await examine(t, environment, {
    home: setUpHome(t),
    env: { OS_AUTH_URL, ...login, HTTPS_PROXY: proxy.url.replace('//', `//squid:${PASSWORD}@`) },
  });
  t.strictSame(listFailedChecks(through), []);
  t.equal(findCheck(through, 'proxy').found, `${proxy.url} is used`);
  t.match(findCheck(through, 'TLS').result, 'good');
  for (const { plaintext } of proxy.tunnels) t.equal(plaintext, '', 'only TLS in the tunnel');
});
