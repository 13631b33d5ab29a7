// The results of doctor for settings that work and for settings that do not, with a real Keystone.

import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { checkNoSecretShown, listFailedChecks, findCheck } from '../support/doctor.ts';
import type { DoctorCheck } from '../support/doctor.ts';
import { setUpAlice } from '../support/alice.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { behindProxy, startConnectProxy } from '../support/proxy.ts';
import { asAliceOnDemo, asUser, onProject } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

/**
 * Runs doctor with output as text and as JSON, and checks that both agree.
 *
 * @param other who runs it the second time, since a home remembers a refusal
 */
async function examine(
  t: Test,
  environment: TestEnvironment,
  user: Fixture,
  other: Fixture = user,
): Promise<DoctorCheck[]> {
  const text = await user.run('doctor', '--no-cluster', '-vvv');
  checkNoSecretShown(t, environment, text);
  const data = await other.run('doctor', '--no-cluster', '-o', 'json');
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

const listLoginStatuses = (user: Fixture): number[] =>
  user.listRequests().flatMap((line) => (line.startsWith('POST ') ? [Number(line.split(' ').at(-1))] : []));

testWithKeystone('doctor finds nothing wrong with settings that work', async (t, environment) => {
  const { pki, tenancy } = environment;
  const { domain, projects } = tenancy;
  const settings = { OS_CACERT: pki.ca };
  const alice = setUpAlice(t, environment, { keystone: watchRequests(getTlsKeystone()), path: '', settings });
  const findings = await examine(t, environment, alice);
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
  t.match(findCheck(findings, 'authorities').found, `${pki.ca} (OS_CACERT), certificates in it: 1`);
  t.match(findCheck(findings, 'login').found, 'the cache holds a token', 'no login in the second run');
  t.strictSame(listLoginStatuses(alice), [401, 201, 401], 'two requests for the methods, and one login');
});

testWithKeystone('doctor reports an untrusted certificate authority and sends no request', async (t, environment) => {
  const { pki } = environment;
  const settings = { OS_CACERT: pki.untrusted.ca };
  const alice = setUpAlice(t, environment, { keystone: watchRequests(getTlsKeystone()), settings });
  const findings = await examine(t, environment, alice);
  t.strictSame(listFailedChecks(findings), ['TLS']);
  const { found, fix } = findCheck(findings, 'TLS');
  t.match(found, /certificate is not trusted \(the certificate of .+, issued by .+\)/);
  t.match(fix, 'OS_CACERT');
  t.equal(findCheck(findings, 'TCP').result, 'good');
  t.equal(findCheck(findings, 'login').result, 'skipped');
  t.strictSame(alice.listRequests(), [], 'no request to such a server');

  const insecure = await examine(t, environment, alice.with({ OS_INSECURE: 'true' }));
  t.strictSame(listFailedChecks(insecure), []);
  t.match(findCheck(insecure, 'TLS'), { result: 'doubtful', found: /not verified, because of OS_INSECURE/ });
});

testWithKeystone('doctor tells an expired password from a wrong project', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const keystone = watchRequests(environment.http);
  const old = setUp(t, {
    keystone,
    settings: { ...asUser(users.expired, domain), ...onProject(projects.demo, domain) },
  });
  const expired = await examine(t, environment, old, old.onNewMachine());
  t.strictSame(listFailedChecks(expired), ['login']);
  t.match(findCheck(expired, 'login').found, /password of .* has expired/);
  t.match(findCheck(expired, 'login').fix, 'openstack user password set');
  t.match(findCheck(expired, 'scope'), { result: 'skipped', found: 'not checked, because of "login"' });
  t.strictSame(listLoginStatuses(old), [401, 401, 401, 401], 'one request for the methods and one login in each run');

  const nowhere = setUp(t, {
    keystone,
    settings: { ...asUser(users.alice, domain), ...onProject({ name: 'no-such' }, domain) },
  }).withStoppedClock();
  const wrong = await examine(t, environment, nowhere, nowhere.onNewMachine());
  t.strictSame(listFailedChecks(wrong), ['login']);
  t.match(
    findCheck(wrong, 'login').found,
    /refused the login for alice .* on project no-such: .* no role in the scope/,
  );
  t.match(
    findCheck(wrong, 'login').fix,
    /"client-keystone-auth projects" works with OS_PROJECT_NAME unset, the project is wrong/,
  );
  const remembering = nowhere.onNewMachine();
  t.match(await remembering.run(), { status: 5, stdout: '' });
  const again = await remembering.run('doctor', '--no-cluster');
  t.match(again, { status: 5 });
  t.match(
    again.stdout,
    /this login was refused \d+ s ago, and is not tried again yet: Keystone refused the login for alice .*\(req-\S+\)\n +→ check user.*in 30 s or with --force-refresh/,
  );
  const withoutProject = nowhere.with({ OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined });
  t.match(await withoutProject.run('projects'), { status: 0, stdout: projects.demo.name }, 'the advice helps');
});

testWithKeystone('doctor reports a wrong clock', async (t, environment) => {
  const keystone = await startKeystoneForTest(t);
  keystone.clockAheadSeconds = 3_600;
  const settings = makeLoginSettings(`${keystone.url}/v3`);
  const findings = await examine(t, environment, setUp(t, { settings }));
  t.strictSame(listFailedChecks(findings), ['clock']);
  t.match(findCheck(findings, 'clock').found, /^this machine's clock is (1 h|59 min).* behind Keystone's$/);
  t.match(findCheck(findings, 'clock').fix, /set the clock of this machine/);

  keystone.clockAheadSeconds = -60;
  const smallSkew = await examine(t, environment, setUp(t, { settings }));
  t.strictSame(listFailedChecks(smallSkew), []);
  t.match(findCheck(smallSkew, 'clock'), { result: 'doubtful', found: /ahead of Keystone's/ });
});

testWithKeystone('doctor doubts what works but can cause problems', async (t, environment) => {
  const { tenancy, pki, http } = environment;
  const { domain, users } = tenancy;
  const keystone = watchRequests(http);
  const unscoped = setUp(t, { keystone, settings: asUser(users.alice, domain) });
  await t.test('the token has no scope', async (t) => {
    const findings = await examine(t, environment, unscoped);
    t.match(findCheck(findings, 'scope'), { result: 'doubtful', found: 'has no scope', fix: 'OS_PROJECT_NAME' });
  });
  await t.test('the token is for a domain', async (t) => {
    const findings = await examine(t, environment, unscoped.onNewMachine().with({ OS_DOMAIN_NAME: domain.name }));
    t.match(findCheck(findings, 'scope'), { result: 'doubtful', found: `for domain ${domain.name}` });
  });
  await t.test('the token expires soon', async (t) => {
    const { url } = await startKeystoneForTest(t, { lifetimeSeconds: 300 });
    const findings = await examine(t, environment, setUp(t, { settings: makeLoginSettings(url) }));
    t.match(findCheck(findings, 'token lifetime'), { result: 'doubtful', found: /^5 min, of which/ });
  });
  await t.test('other users can read a file with secrets', async (t) => {
    const user = unscoped.onNewMachine();
    const { name: username, password } = users.alice;
    const auth = { auth_url: `${keystone.url}/v3`, username, password, user_domain_name: domain.name };
    const file = user.writeFile('open.yaml', { clouds: { prod: { auth } } }, 0o644);
    const findings = await examine(t, environment, user.withOnly({ OS_CLIENT_CONFIG_FILE: file, OS_CLOUD: 'prod' }));
    t.match(findCheck(findings, 'secret files'), { result: 'doubtful', found: file, fix: `chmod 600 ${file}` });
  });
  await t.test('other users can change a file with authorities', async (t) => {
    const user = unscoped.onNewMachine();
    const ca = user.writeFile('ca.pem', readFileSync(pki.ca, 'utf8'), 0o666);
    const findings = await examine(t, environment, user.with({ OS_CACERT: ca }));
    t.match(findCheck(findings, 'authorities'), {
      result: 'doubtful',
      found: 'other users can change',
      fix: `chmod go-w ${ca}`,
    });
  });
});

testWithKeystone('doctor reports a missing server, wrong settings and a proxy', async (t, environment) => {
  const env = makeLoginSettings('http://127.0.0.1:1/v3');
  const nobody = setUp(t, { settings: env });
  const noServer = await examine(t, environment, nobody);
  t.strictSame(listFailedChecks(noServer), ['TCP']);
  t.match(findCheck(noServer, 'TCP'), { found: 'nothing listens there', fix: /check OS_AUTH_URL/ });
  const unknown = nobody.onNewMachine().with({ OS_AUTH_URL: 'https://keystone.invalid/v3' });
  t.strictSame(listFailedChecks(await examine(t, environment, unknown)), ['DNS']);

  const wrong = await examine(t, environment, nobody.onNewMachine().with({ OS_AUTH_TYPE: 'no-such' }));
  t.strictSame(listFailedChecks(wrong), ['settings']);
  t.match(findCheck(wrong, 'settings').found, 'OS_AUTH_TYPE asks for "no-such"');
  t.equal(wrong.filter(({ result }) => result === 'skipped').length, wrong.length - 1);
  t.match(findCheck(wrong, 'login').found, 'because of "settings"');

  const proxy = await startConnectProxy();
  t.teardown(() => proxy.close());
  const { tenancy, pki } = environment;
  const settings = { ...asAliceOnDemo(tenancy), OS_CACERT: pki.ca };
  const HTTPS_PROXY = proxy.url.replace('//', `//squid:${PASSWORD}@`);
  const alice = setUp(t, {
    keystone: watchRequests({ ...getTlsKeystone(), url: behindProxy(getTlsKeystone().url) }),
    settings: { ...settings, HTTPS_PROXY },
  });
  const through = await examine(t, environment, alice);
  t.strictSame(listFailedChecks(through), []);
  t.equal(findCheck(through, 'proxy').found, `${proxy.url} is used (HTTPS_PROXY)`);
  t.match(findCheck(through, 'TLS').result, 'good');
  for (const { plaintext } of proxy.tunnels) t.equal(plaintext, '', 'only TLS in the tunnel');
});
