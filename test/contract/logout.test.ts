/** status and logout with a real Keystone: status lists the tokens, and Keystone rejects a token after logout. */
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject } from '../support/login-settings.ts';
import { setUpToken } from '../support/token-fixture.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

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
  readonly present: Record<string, unknown> | null;
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

/** Lists all cache files that belong to an identity: neither locks nor the list of handed-out tokens do. */
const tracesIn = ({ cache }: Home): string[] =>
  readdirSync(cache).filter((name) => !name.endsWith('.lock') && name !== 'handed-out');

testWithKeystone('status lists each identity and marks the current one', async (t, environment) => {
  const { home, run, getToken, url, aliceSettings, countPosts } = setUpToken(t, environment);
  const { domain, projects, applicationCredentials, users } = environment.tenancy;
  const empty = await run(['status']);
  t.match(empty, {
    status: 0,
    stdout: /^No token is cached\.\nThe current settings \(password at .*\) have no cached token\.\n$/,
  });
  t.equal(countPosts(), 0, 'no request is sent');
  await getToken();
  await getToken({ OS_AUTH_URL: url, ...asUser(users.alice, domain), ...onProject(projects.other, domain) });
  await getToken({ OS_AUTH_URL: url, ...asApplicationCredential(applicationCredentials.valid) });
  const before = countPosts();
  const outputs = await run(['status', '-o', 'json']);
  t.same([outputs.status, outputs.stderr], [0, '']);
  const { identities, present, problem, secrets } = readStatus(outputs);
  t.equal(identities.length, 3);
  t.same([problem, secrets], [null, []]);
  t.match(present, { method: 'password', keystone: url, missing: [], loggedIn: true });
  const current = identities.filter((identity) => identity['present'] === true);
  t.match(current, [
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
  t.equal(current[0]?.['key'], present?.['key']);
  t.ok(Number(current[0]?.['secondsLeft']) > 60);
  t.same(identities.map(({ method }) => method).toSorted(), ['password', 'password', 'v3applicationcredential']);
  t.ok(identities.some(({ scope }) => scope === 'project other (My Domain)'));
  const text = await run(['status']);
  t.match(text.stdout, /^ +USER +DOMAIN +SCOPE +METHOD +KEYSTONE +STORAGE +LEFT +RENEWABLE\n/);
  t.match(
    text.stdout,
    /^\* +alice +My Domain +project demo \(My Domain\) +password +http:\S+ +file +\d+ (?:h|min).* +no$/m,
  );
  t.match(text.stdout, /\n\* marks the token that the current settings use\.\n$/);
  t.match((await run(['status', '-o', 'yaml'])).stdout, /^identities:\n {2}- key: /);
  t.equal(countPosts(), before, 'no request was sent');

  const conflict = { ...aliceSettings, ...asApplicationCredential(applicationCredentials.valid) };
  const conflicting = await run(['status', '-o', 'json'], conflict);
  t.equal(conflicting.status, 0, 'status works with contradictory settings');
  t.match(readStatus(conflicting), { present: null, problem: /OS_/, identities: { length: 3 } });

  for (const name of readdirSync(home.cache)) if (name.endsWith('.about')) rmSync(join(home.cache, name));
  const unknown = readStatus(await run(['status', '-o', 'json'])).identities;
  t.equal(unknown.length, 3);
  for (const identity of unknown) t.match(identity, { user: null, scope: null, method: null, keystone: `${url}/v3` });
  t.match((await run(['status'])).stdout, /^\* +unknown +unknown +unknown +unknown +http:\S+ +file/m);
});

testWithKeystone(
  'logout revokes the token, forgets everything, and the next run logs in again',
  async (t, environment) => {
    const { home, run, getToken, countPosts, listDeleteStatuses } = setUpToken(t, environment);
    const first = await getToken();
    t.equal(await getToken(), first);
    t.equal(countPosts(), 1);
    t.equal(await validateWithItself(environment, first), 200);
    const outputs = await run(['logout', '-o', 'json']);
    t.same([outputs.status, outputs.stderr], [0, '']);
    t.match(readLogout(outputs), {
      tokens: [{ user: 'alice', scope: 'project demo (My Domain)', token: 'revoked', because: null }],
      failures: [],
    });
    t.same(listDeleteStatuses(), [204]);
    t.equal(await validateWithItself(environment, first), 401, 'Keystone rejects the token');
    t.same(tracesIn(home), [], 'no token record and no alias remain');
    const second = await getToken();
    t.not(second, first);
    t.equal(await validateWithItself(environment, second), 200, 'the new token is valid');
    t.equal(countPosts(), 2);

    t.match(await run(['logout']), {
      status: 0,
      stdout: /^FORGOTTEN +SCOPE +KEYSTONE +TOKEN\nalice +.* revoked\n$/,
      stderr: '',
    });
    t.match(await run(['logout']), { status: 0, stdout: 'There was nothing to forget.\n', stderr: '' });
    t.same(listDeleteStatuses(), [204, 204]);
  },
);

testWithKeystone('logout removes one identity, --all removes every identity', async (t, environment) => {
  const { home, run, getToken, url } = setUpToken(t, environment);
  const { domain, projects, users, applicationCredentials } = environment.tenancy;
  const current = await getToken();
  const other = await getToken({
    OS_AUTH_URL: url,
    ...asUser(users.alice, domain),
    ...onProject(projects.other, domain),
  });
  const machine = await getToken({ OS_AUTH_URL: url, ...asApplicationCredential(applicationCredentials.valid) });
  t.equal((await run(['logout'])).status, 0);
  t.same(
    await Promise.all([current, other, machine].map((each) => validateWithItself(environment, each))),
    [401, 200, 200],
  );
  t.equal(tokensIn(home).length, 2);
  // No settings are needed: the cache stores where each token comes from.
  const all = await run(['logout', '--all', '-o', 'json'], {});
  t.same([all.status, all.stderr], [0, '']);
  t.same(
    readLogout(all).tokens.map(({ token: result }) => result),
    ['revoked', 'revoked'],
  );
  t.same(await Promise.all([other, machine].map((each) => validateWithItself(environment, each))), [401, 401]);
  t.same(tracesIn(home), []);
});

testWithKeystone('a token from OS_TOKEN is not revoked, a token exchanged for it is', async (t, environment) => {
  const { run, getToken, url, listDeleteStatuses } = setUpToken(t, environment);
  const { domain, projects } = environment.tenancy;
  const existingToken = await getToken();
  const asItIs = { OS_AUTH_URL: url, OS_TOKEN: existingToken };
  t.equal(await getToken(asItIs), existingToken);
  const outputs = await run(['logout', '-o', 'json'], asItIs);
  t.equal(outputs.status, 0);
  t.match(readLogout(outputs).tokens, [{ token: 'given' }]);
  t.equal(await getToken(asItIs), existingToken);
  await run(['logout', '--all', '-o', 'json'], { OS_AUTH_URL: `${url}/elsewhere` });
  t.equal(listDeleteStatuses().length, 1, 'only the token of the password login');
  t.equal(await validateWithItself(environment, existingToken), 401);

  const fresh = await getToken();
  const exchanged = { ...asItIs, OS_TOKEN: fresh, ...onProject(projects.other, domain) };
  const rescoped = await getToken(exchanged);
  t.not(rescoped, fresh);
  t.match(readLogout(await run(['logout', '-o', 'json'], exchanged)).tokens, [{ token: 'revoked' }]);
  t.same(await Promise.all([rescoped, fresh].map((each) => validateWithItself(environment, each))), [401, 200]);
});

testWithKeystone(
  'over TLS: with the trust of the login, whatever is set now; never with an unchecked certificate',
  async (t, environment) => {
    const { home, run, getToken } = setUpToken(t, environment);
    const tls = getTlsKeystone();
    const { pki, tenancy } = environment;
    const authorities = join(home.path, 'ca.pem');
    writeFileSync(authorities, readFileSync(pki.ca));
    const login = { OS_AUTH_URL: tls.url, ...asUser(tenancy.users.alice, tenancy.domain) };
    const here = { ...login, ...onProject(tenancy.projects.demo, tenancy.domain), OS_CACERT: authorities };
    const there = { ...login, ...onProject(tenancy.projects.other, tenancy.domain), OS_INSECURE: 'true' };

    const trusted = await getToken(here);
    t.match(await run(['logout', '--all'], {}), { status: 0, stdout: / revoked\n$/, stderr: '' });
    t.equal(await validateWithItself(environment, trusted), 401, 'with the certificate authorities of the login');

    const again = await getToken(here);
    writeFileSync(authorities, `${readFileSync(pki.ca, 'utf8')}\n`);
    const changed = await run(['logout', '--all', '-o', 'json'], {});
    t.equal(changed.status, 6);
    t.match(readLogout(changed).tokens, [{ token: 'not-revoked', because: /certificate files .* have changed/ }]);
    t.match(
      changed.stderr,
      /^client-keystone-auth: warning: the token of alice \(project demo .*\) is not revoked, and valid until \d{4}-.*\n$/,
    );
    t.equal(await validateWithItself(environment, again), 200);
    t.same(tracesIn(home), [], 'the cache entries are removed nevertheless');

    const unchecked = await getToken(there);
    const refused = await run(['logout', '--all', '-o', 'json'], {});
    t.match(readLogout(refused).tokens, [{ token: 'not-revoked', because: /was not checked/ }]);
    t.equal(await validateWithItself(environment, unchecked), 200);
    const accepted = await getToken(there);
    t.match(
      await run(['logout'], there),
      { status: 0, stdout: / revoked\n$/ },
      '--insecure in the current settings allows it',
    );
    t.equal(await validateWithItself(environment, accepted), 401);
  },
);

void t.test(
  'Keystone does not answer or refuses: the token is forgotten, with a warning and an exit status',
  async (t) => {
    const standIn = await startKeystoneForTest(t);
    const home = makeHome();
    t.teardown(() => {
      home.remove();
    });
    const env = makeLoginSettings(`${standIn.url}/v3`);
    t.equal((await runPlugin({ home, env })).status, 0);
    standIn.answerAlways((_request, response) => {
      response.writeHead(503).end();
    });
    const outputs = await runPlugin({ home, env, args: ['logout', '-o', 'json', '--timeout', '5'] });
    t.equal(outputs.status, 6, outputs.stderr);
    t.match(
      outputs.stderr,
      /^client-keystone-auth: warning: the token of alice .* is not revoked, and valid until [^\n]*\n$/,
    );
    t.match(readLogout(outputs).tokens, [{ token: 'not-revoked' }]);
    t.same(tracesIn(home), []);
  },
);

void t.test('a token is sent only to the endpoint that issued it', async (t) => {
  const [standIn, other] = [await startKeystoneForTest(t), await startKeystoneForTest(t)];
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  t.equal((await runPlugin({ home, env: makeLoginSettings(`${standIn.url}/v3`) })).status, 0);
  const before = [standIn.requests.length, other.requests.length];
  const outputs = await runPlugin({ home, env: makeLoginSettings(`${other.url}/v3`), args: ['logout', '-o', 'json'] });
  t.match(readLogout(outputs), { tokens: [] }, 'these settings have no token');
  t.same([standIn.requests.length, other.requests.length], before);
  t.equal((await runPlugin({ home, env: makeLoginSettings(`${other.url}/v3`), args: ['logout', '--all'] })).status, 0);
  t.same(
    [standIn.requests.length, other.requests.length],
    [(before[0] ?? 0) + 1, before[1]],
    'one request, to the Keystone that issued the token',
  );
});

testWithKeystone('a symbolic link in place of a token record is not followed', async (t, environment) => {
  const { home, run, getToken } = setUpToken(t, environment);
  await getToken();
  const [name = ''] = tokensIn(home);
  const canary = join(home.path, 'canary');
  writeFileSync(canary, 'canary', { mode: 0o600 });
  rmSync(join(home.cache, name));
  symlinkSync(canary, join(home.cache, name));
  t.match(await run(['logout']), { status: 1, stderr: /is not a file of yours, so it is not removed/ });
  t.equal(readFileSync(canary, 'utf8'), 'canary');
});

testWithKeystone(
  'logout while many plugins run causes no crash and leaves no revoked token',
  async (t, environment) => {
    const { home, run, getToken } = setUpToken(t, environment);
    const first = await getToken();
    let stale = 0;
    for (let round = 0; round < 3; round += 1) {
      const plugins = Array.from({ length: 20 }, () => run([]));
      const [out, ...outputs] = await Promise.all([run(['logout', '-o', 'json']), ...plugins]);
      t.match([out.status, out.stderr], [0, '']);
      for (const { status, stderr, stdout } of outputs) {
        t.same([status, stderr], [0, '']);
        t.match(stdout, /"token":"[^"]+"/);
      }
      // Plugins that started before the logout ended may have got a revoked token; later ones must not.
      const after = await getToken();
      if ((await validateWithItself(environment, after)) !== 200) stale += 1;
      for (const { token: result } of readLogout(out).tokens) t.equal(result, 'revoked');
    }
    t.equal(stale, 0);
    t.equal(await validateWithItself(environment, first), 401);
    t.equal(tokensIn(home).length, 1);
  },
);
