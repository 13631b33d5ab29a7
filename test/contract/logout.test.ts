/** status and logout with a real Keystone: status lists the tokens, and Keystone rejects a token after logout. */
import { readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { setUpAlice } from '../support/alice.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { Home } from '../support/home.ts';
import { asAliceOnDemo, asApplicationCredential, asUser, onProject } from '../support/login-settings.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { prepareTimeJump } from '../support/time-jump.ts';

/** Validates a token with itself; returns the HTTP status. */
async function validateWithItself({ http }: TestEnvironment, token: string): Promise<number> {
  const response = await fetch(`${http.url}/v3/auth/tokens`, {
    headers: { 'x-auth-token': token, 'x-subject-token': token },
  });
  await response.body?.cancel();
  return response.status;
}

interface Status {
  readonly identities: readonly Record<string, unknown>[];
  readonly current: Record<string, unknown> | null;
  readonly problem: string | null;
  readonly secrets: readonly unknown[];
}

interface Logout {
  readonly tokens: readonly Record<string, unknown>[];
  readonly secrets: readonly unknown[];
  readonly failures: readonly string[];
}

const readStatus = ({ stdout }: RunResult): Status => JSON.parse(stdout) as Status;
const readLogout = ({ stdout }: RunResult): Logout => JSON.parse(stdout) as Logout;

const tokensIn = ({ cache }: Home): string[] => readdirSync(cache).filter((name) => name.endsWith('.token'));

/** The statuses of the requests that revoke a token. */
const listDeleteStatuses = (user: Fixture): number[] =>
  user.listRequests().flatMap((line) => (line.startsWith('DELETE ') ? [Number(line.split(' ').at(-1))] : []));

/** The same person with other ways to log in at the same Keystone. */
function listIdentities(alice: Fixture, { tenancy }: TestEnvironment): { onOther: Fixture; machine: Fixture } {
  const { domain, projects, users, applicationCredentials } = tenancy;
  return {
    onOther: alice.withOnly({
      OS_AUTH_URL: alice.url,
      ...asUser(users.alice, domain),
      ...onProject(projects.other, domain),
    }),
    machine: alice.withOnly({ OS_AUTH_URL: alice.url, ...asApplicationCredential(applicationCredentials.valid) }),
  };
}

/** Lists all cache files that belong to an identity: neither locks nor the list of handed-out tokens do. */
const tracesIn = ({ cache }: Home): string[] =>
  readdirSync(cache).filter((name) => !name.endsWith('.lock') && name !== 'handed-out');

testWithKeystone('status lists each identity and marks the current one', async (t, environment) => {
  const alice = setUpAlice(t, environment, { path: '' });
  const { url, home } = alice;
  const { onOther, machine } = listIdentities(alice, environment);
  const empty = await alice.run('status');
  t.match(empty, {
    status: 0,
    stdout: /^No token is cached\.\nThe current settings \(password at .*\) have no cached token\.\n$/,
  });
  t.equal(alice.countRequests(), 0, 'no request is sent');
  for (const user of [alice, onOther, machine]) await user.getToken();
  const before = alice.countRequests();
  const outputs = await alice.run('status', '-o', 'json');
  t.same([outputs.status, outputs.stderr], [0, '']);
  const { identities, current, problem, secrets } = readStatus(outputs);
  t.equal(identities.length, 3);
  t.same([problem, secrets], [null, []]);
  t.match(current, { method: 'password', keystone: url, missing: [], loggedIn: true });
  const marked = identities.filter((identity) => identity['current'] === true);
  t.match(marked, [
    {
      user: 'alice',
      domain: 'My Domain',
      scope: 'project demo (My Domain)',
      method: 'password',
      keystone: `${url}/v3`,
      storage: 'file',
      expiresAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
      renewable: false,
      given: false,
    },
  ]);
  t.equal(marked[0]?.['key'], current?.['key']);
  t.ok(Number(marked[0]?.['secondsLeft']) > 60);
  t.same(identities.map(({ method }) => method).toSorted(), ['password', 'password', 'v3applicationcredential']);
  t.ok(identities.some(({ scope }) => scope === 'project other (My Domain)'));
  const text = await alice.run('status');
  t.match(text.stdout, /^ +USER +DOMAIN +SCOPE +METHOD +KEYSTONE +STORAGE +LEFT +RENEWABLE\n/);
  t.match(
    text.stdout,
    /^\* +alice +My Domain +project demo \(My Domain\) +password +http:\S+ +file +\d+ (?:h|min).* +no$/m,
  );
  t.match(text.stdout, /\n\* marks the token that the current settings use\.\n$/);
  t.match((await alice.run('status', '-o', 'yaml')).stdout, /^identities:\n {2}- key: /);
  t.equal(alice.countRequests(), before, 'no request was sent');

  const conflict = { OS_SYSTEM_SCOPE: 'all', OS_PROJECT_ID: 'p', OS_TRUST_ID: 't' };
  const conflicting = await alice.with(conflict).run('status', '-o', 'json');
  t.equal(conflicting.status, 0, 'status works with contradictory settings');
  t.match(readStatus(conflicting), { current: null, problem: /OS_/, identities: { length: 3 } });

  for (const name of readdirSync(home.cache)) if (name.endsWith('.about')) rmSync(join(home.cache, name));
  const unknown = readStatus(await alice.run('status', '-o', 'json')).identities;
  t.equal(unknown.length, 3);
  for (const identity of unknown) t.match(identity, { user: null, scope: null, method: null, keystone: `${url}/v3` });
  t.match((await alice.run('status')).stdout, /^\* +unknown +unknown +unknown +unknown +http:\S+ +file/m);
});

testWithKeystone(
  'logout revokes the token, forgets everything, and the next run logs in again',
  async (t, environment) => {
    const alice = setUpAlice(t, environment, { path: '' });
    const first = await alice.getToken();
    t.equal(await alice.getToken(), first);
    t.equal(alice.countLogins(), 1);
    t.equal(await validateWithItself(environment, first), 200);
    const outputs = await alice.run('logout', '-o', 'json');
    t.same([outputs.status, outputs.stderr], [0, '']);
    t.match(readLogout(outputs), {
      tokens: [{ user: 'alice', scope: 'project demo (My Domain)', token: /^revoked$/, because: null }],
      failures: [],
    });
    t.same(listDeleteStatuses(alice), [204]);
    t.equal(await validateWithItself(environment, first), 401, 'Keystone rejects the token');
    t.same(tracesIn(alice.home), [], 'no token record and no alias remain');
    const second = await alice.getToken();
    t.not(second, first);
    t.equal(await validateWithItself(environment, second), 200, 'the new token is valid');
    t.equal(alice.countLogins(), 2);

    t.match(await alice.run('logout'), {
      status: 0,
      stdout: /^FORGOTTEN +SCOPE +KEYSTONE +TOKEN\nalice +.* revoked\n$/,
      stderr: '',
    });
    t.match(await alice.run('logout'), { status: 0, stdout: 'There was nothing to forget.\n', stderr: '' });
    t.same(listDeleteStatuses(alice), [204, 204]);
  },
);

testWithKeystone('logout removes one identity, and --all removes every identity', async (t, environment) => {
  const alice = setUpAlice(t, environment, { path: '' });
  const { onOther, machine } = listIdentities(alice, environment);
  const tokens = [await alice.getToken(), await onOther.getToken(), await machine.getToken()];
  const validate = (): Promise<number[]> => Promise.all(tokens.map((each) => validateWithItself(environment, each)));
  t.equal((await alice.run('logout')).status, 0);
  t.same(await validate(), [401, 200, 200]);
  t.equal(tokensIn(alice.home).length, 2);
  // No settings are needed: the cache stores where each token comes from.
  const all = await alice.withOnly({}).run('logout', '--all', '-o', 'json');
  t.same([all.status, all.stderr], [0, '']);
  t.same(
    readLogout(all).tokens.map(({ token: result }) => result),
    ['revoked', 'revoked'],
  );
  t.same(await validate(), [401, 401, 401]);
  t.same(tracesIn(alice.home), []);
});

testWithKeystone(
  'logout in a new shell uses the login of the current context, and otherwise names the tokens that are kept',
  async (t, environment) => {
    const alice = setUpAlice(t, environment);
    const server = ['--server=https://127.0.0.1:6443', '--command=/bin/client-keystone-auth'];
    t.match(await alice.run('kubeconfig', 'add', '--name=demo', ...server), { status: 0 });
    const token = await alice.getToken();
    const other = alice.withOnly({ OS_AUTH_URL: 'http://127.0.0.1:1/v3', OS_USERNAME: 'nobody' });
    const kept = await other.run('logout');
    t.match(kept, { status: 0, stderr: '' });
    t.match(kept.stdout, /^There was nothing to forget for these settings\. This token is kept:\nUSER +SCOPE/);
    t.match(kept.stdout, /^alice +project demo \(My Domain\) +http:\S+ +\d+ min/m);
    t.match(kept.stdout, /^Forget all with "client-keystone-auth logout --all", or .* --context NAME\.$/m);
    t.equal(await validateWithItself(environment, token), 200);
    const data = JSON.parse((await other.run('logout', '-o', 'json')).stdout) as { kept: unknown };
    t.match(data.kept, [{ user: 'alice', scope: 'project demo (My Domain)' }]);

    const inNewShell = await alice.withOnly({}).run('logout');
    t.match(inNewShell, { status: 0, stdout: /^alice .* revoked$/m, stderr: /using the login of context demo/ });
    t.equal(await validateWithItself(environment, token), 401);

    const second = await alice.getToken();
    const selected = await other.run('logout', '--context', 'demo');
    t.match(selected, { status: 0, stdout: /^alice .* revoked$/m, stderr: '' });
    t.equal(await validateWithItself(environment, second), 401);
  },
);

testWithKeystone('a token from OS_TOKEN is not revoked, and a token exchanged for it is', async (t, environment) => {
  const alice = setUpAlice(t, environment, { path: '' });
  const { domain, projects } = environment.tenancy;
  const { url } = alice;
  const existingToken = await alice.getToken();
  const asItIs = alice.withOnly({ OS_AUTH_URL: url, OS_TOKEN: existingToken });
  t.equal(await asItIs.getToken(), existingToken);
  const outputs = await asItIs.run('logout', '-o', 'json');
  t.equal(outputs.status, 0);
  t.match(readLogout(outputs).tokens, [{ token: 'given' }]);
  t.equal(await asItIs.getToken(), existingToken);
  await alice.withOnly({ OS_AUTH_URL: `${url}/elsewhere` }).run('logout', '--all', '-o', 'json');
  t.equal(listDeleteStatuses(alice).length, 1, 'only the token of the password login');
  t.equal(await validateWithItself(environment, existingToken), 401);

  const fresh = await alice.getToken();
  const exchanged = asItIs.with({ OS_TOKEN: fresh, ...onProject(projects.other, domain) });
  const rescoped = await exchanged.getToken();
  t.not(rescoped, fresh);
  t.match(readLogout(await exchanged.run('logout', '-o', 'json')).tokens, [{ token: /^revoked$/ }]);
  t.same(await Promise.all([rescoped, fresh].map((each) => validateWithItself(environment, each))), [401, 200]);
});

testWithKeystone(
  'logout over TLS has the trust of the login, and never trusts an unchecked certificate',
  async (t, environment) => {
    const { pki, tenancy } = environment;
    const { url } = getTlsKeystone();
    const nobody = setUp(t);
    const ca = nobody.writeFile('ca.pem', readFileSync(pki.ca, 'utf8'));
    const here = nobody.with({ OS_AUTH_URL: url, ...asAliceOnDemo(tenancy), OS_CACERT: ca });
    const there = nobody.with({
      OS_AUTH_URL: url,
      ...asUser(tenancy.users.alice, tenancy.domain),
      ...onProject(tenancy.projects.other, tenancy.domain),
      OS_INSECURE: 'true',
    });

    const trusted = await here.getToken();
    t.match(await nobody.run('logout', '--all'), { status: 0, stdout: / revoked\n$/, stderr: '' });
    t.equal(await validateWithItself(environment, trusted), 401, 'with the certificate authorities of the login');

    const again = await here.getToken();
    nobody.writeFile('ca.pem', `${readFileSync(pki.ca, 'utf8')}\n`);
    const changed = await nobody.run('logout', '--all', '-o', 'json');
    t.equal(changed.status, 6);
    t.match(readLogout(changed).tokens, [{ token: 'not-revoked', because: /certificate files .* have changed/ }]);
    t.match(
      changed.stderr,
      /^client-keystone-auth: warning: the token of alice \(project demo .*\) is not revoked, and valid until \d{4}-.*\n$/,
    );
    t.equal(await validateWithItself(environment, again), 200);
    t.same(tracesIn(nobody.home), [], 'the cache entries are removed nevertheless');

    const unchecked = await there.getToken();
    const refused = await nobody.run('logout', '--all', '-o', 'json');
    t.match(readLogout(refused).tokens, [{ token: 'not-revoked', because: /was not checked/ }]);
    t.equal(await validateWithItself(environment, unchecked), 200);
    const accepted = await there.getToken();
    t.match(
      await there.run('logout'),
      { status: 0, stdout: / revoked\n$/ },
      '--insecure in the current settings allows it',
    );
    t.equal(await validateWithItself(environment, accepted), 401);
  },
);

void t.test('a token that Keystone does not revoke is forgotten, with a warning and an exit status', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
  t.equal((await alice.run()).status, 0);
  keystone.answerAlways((_request, response) => {
    response.writeHead(503).end();
  });
  const outputs = await alice.run('logout', '-o', 'json');
  t.equal(outputs.status, 6, outputs.stderr);
  t.match(
    outputs.stderr,
    /^client-keystone-auth: warning: the token of alice .* is not revoked, and valid until [^\n]*\n$/,
  );
  t.match(readLogout(outputs).tokens, [{ token: 'not-revoked' }]);
  t.same(tracesIn(alice.home), []);
});

void t.test('a token is sent only to the endpoint that issued it', async (t) => {
  const [keystone, other] = [await startKeystoneForTest(t), await startKeystoneForTest(t)];
  const alice = setUp(t, { settings: makeLoginSettings(`${keystone.url}/v3`) });
  const elsewhere = alice.with({ OS_AUTH_URL: `${other.url}/v3` });
  t.equal((await alice.run()).status, 0);
  const before = [keystone.requests.length, other.requests.length];
  const outputs = await elsewhere.run('logout', '-o', 'json');
  t.match(readLogout(outputs), { tokens: [] }, 'these settings have no token');
  t.same([keystone.requests.length, other.requests.length], before);
  t.equal((await elsewhere.run('logout', '--all')).status, 0);
  t.same(
    [keystone.requests.length, other.requests.length],
    [(before[0] ?? 0) + 1, before[1]],
    'one request, to the Keystone that issued the token',
  );
});

testWithKeystone('a symbolic link in place of a token record is not followed', async (t, environment) => {
  const alice = setUpAlice(t, environment);
  const { home } = alice;
  await alice.getToken();
  const [name = ''] = tokensIn(home);
  const canary = alice.writeFile('canary', 'canary');
  rmSync(join(home.cache, name));
  symlinkSync(canary, join(home.cache, name));
  t.match(await alice.run('logout'), { status: 1, stderr: /is not a file of yours, so it is not removed/ });
  t.equal(readFileSync(canary, 'utf8'), 'canary');
});

testWithKeystone(
  'logout while many plugins run causes no crash and leaves no revoked token',
  async (t, environment) => {
    const alice = setUpAlice(t, environment, { runner: runPlugin });
    const first = await alice.getToken();
    // Twenty plugins beside it may keep Keystone busy for longer than a revocation may take.
    const patient = alice.with(prepareTimeJump(alice.home).settings);
    let stale = 0;
    for (let round = 0; round < 3; round += 1) {
      const plugins = Array.from({ length: 20 }, () => alice.run());
      const [out, ...outputs] = await Promise.all([patient.run('logout', '-o', 'json'), ...plugins]);
      t.match([out.status, out.stderr], [0, '']);
      for (const { status, stderr, stdout } of outputs) {
        t.same([status, stderr], [0, '']);
        t.match(stdout, /"token":"[^"]+"/);
      }
      // Plugins that started before the logout ended may have got a revoked token; later ones must not.
      const after = await alice.getToken();
      if ((await validateWithItself(environment, after)) !== 200) stale += 1;
      for (const { token: result } of readLogout(out).tokens) t.equal(result, 'revoked');
    }
    t.equal(stale, 0);
    t.equal(await validateWithItself(environment, first), 401);
    t.equal(tokensIn(alice.home).length, 1);
  },
);
