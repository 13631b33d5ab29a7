/** status and logout against a real Keystone: whose tokens are listed, and that a token is really refused afterwards. */
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home, RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject } from '../support/login-settings.ts';
import { setUpToken } from '../support/token-fixture.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

/** What Keystone says of a token that shows itself. */
async function askAbout({ http }: TestEnvironment, token: string): Promise<number> {
  const answer = await fetch(`${http.url}/v3/auth/tokens`, {
    headers: { 'x-auth-token': token, 'x-subject-token': token },
  });
  await answer.body?.cancel();
  return answer.status;
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

/** What is left of an identity when nothing is: locks, and what counts who asked. */
const tracesIn = ({ cache }: Home): string[] =>
  readdirSync(cache).filter((name) => !name.endsWith('.lock') && name !== 'handed-out');

testWithKeystone('status: each identity, and the one that is meant', async (t, world) => {
  const { home, run, getToken, url, aliceSettings, countPosts } = setUpToken(t, world);
  const { domain, projects, applicationCredentials, users } = world.tenancy;
  const empty = await run(['status']);
  t.match(empty, {
    status: 0,
    stdout: /^No token is kept\.\nThe present settings \(password at .*\) have no token here\.\n$/,
  });
  t.equal(countPosts(), 0, 'nobody is asked');
  await getToken();
  await getToken({ OS_AUTH_URL: url, ...asUser(users.alice, domain), ...onProject(projects.other, domain) });
  await getToken({ OS_AUTH_URL: url, ...asApplicationCredential(applicationCredentials.valid) });
  const before = countPosts();
  const ran = await run(['status', '-o', 'json']);
  t.same([ran.status, ran.stderr], [0, '']);
  const { identities, present, problem, secrets } = readStatus(ran);
  t.equal(identities.length, 3);
  t.same([problem, secrets], [null, []]);
  t.match(present, { method: 'password', keystone: url, missing: [], loggedIn: true });
  const mine = identities.filter((identity) => identity['present'] === true);
  t.match(mine, [
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
  t.equal(mine[0]?.['key'], present?.['key']);
  t.ok(Number(mine[0]?.['secondsLeft']) > 60);
  t.same(identities.map(({ method }) => method).toSorted(), ['password', 'password', 'v3applicationcredential']);
  t.ok(identities.some(({ scope }) => scope === 'project other (My Domain)'));
  const text = await run(['status']);
  t.match(text.stdout, /^ +USER +DOMAIN +SCOPE +METHOD +KEYSTONE +KEPT IN +LEFT +RENEWABLE\n/);
  t.match(
    text.stdout,
    /^\* +alice +My Domain +project demo \(My Domain\) +password +http:\S+ +file +\d+ (?:h|min).* +no$/m,
  );
  t.match(text.stdout, /\n\* is what the present settings use\.\n$/);
  t.match((await run(['status', '-o', 'yaml'])).stdout, /^identities:\n {2}- key: /);
  t.equal(countPosts(), before, 'nobody was asked');

  const conflict = { ...aliceSettings, ...asApplicationCredential(applicationCredentials.valid) };
  const odd = await run(['status', '-o', 'json'], conflict);
  t.equal(odd.status, 0, 'settings that contradict each other keep nobody from looking');
  t.match(readStatus(odd), { present: null, problem: /OS_/, identities: { length: 3 } });

  for (const name of readdirSync(home.cache)) if (name.endsWith('.about')) rmSync(join(home.cache, name));
  const unknown = readStatus(await run(['status', '-o', 'json'])).identities;
  t.equal(unknown.length, 3);
  for (const identity of unknown) t.match(identity, { user: null, scope: null, method: null, keystone: `${url}/v3` });
  t.match((await run(['status'])).stdout, /^\* +unknown +unknown +unknown +unknown +http:\S+ +file/m);
});

testWithKeystone('logout: the token is refused, all is forgotten, and the next run logs in anew', async (t, world) => {
  const { home, run, getToken, countPosts, listDeleteStatuses } = setUpToken(t, world);
  const first = await getToken();
  t.equal(await getToken(), first);
  t.equal(countPosts(), 1);
  t.equal(await askAbout(world, first), 200);
  const ran = await run(['logout', '-o', 'json']);
  t.same([ran.status, ran.stderr], [0, '']);
  t.match(readLogout(ran), {
    tokens: [{ user: 'alice', scope: 'project demo (My Domain)', token: 'revoked', because: null }],
    failures: [],
  });
  t.same(listDeleteStatuses(), [204]);
  t.equal(await askAbout(world, first), 401, 'Keystone does not take it any more');
  t.same(tracesIn(home), [], 'no record, no alias, nothing');
  const second = await getToken();
  t.not(second, first);
  t.equal(await askAbout(world, second), 200, 'the new one lives');
  t.equal(countPosts(), 2);

  t.match(await run(['logout']), {
    status: 0,
    stdout: /^FORGOTTEN +SCOPE +KEYSTONE +TOKEN\nalice +.* revoked\n$/,
    stderr: '',
  });
  t.match(await run(['logout']), { status: 0, stdout: 'There was nothing to forget.\n', stderr: '' });
  t.same(listDeleteStatuses(), [204, 204]);
});

testWithKeystone('logout leaves the others alone; --all does not', async (t, world) => {
  const { home, run, getToken, url } = setUpToken(t, world);
  const { domain, projects, users, applicationCredentials } = world.tenancy;
  const mine = await getToken();
  const other = await getToken({
    OS_AUTH_URL: url,
    ...asUser(users.alice, domain),
    ...onProject(projects.other, domain),
  });
  const machine = await getToken({ OS_AUTH_URL: url, ...asApplicationCredential(applicationCredentials.valid) });
  t.equal((await run(['logout'])).status, 0);
  t.same(await Promise.all([mine, other, machine].map((each) => askAbout(world, each))), [401, 200, 200]);
  t.equal(tokensIn(home).length, 2);
  // Without any settings: what is kept says where it is from.
  const all = await run(['logout', '--all', '-o', 'json'], {});
  t.same([all.status, all.stderr], [0, '']);
  t.same(
    readLogout(all).tokens.map(({ token: fate }) => fate),
    ['revoked', 'revoked'],
  );
  t.same(await Promise.all([other, machine].map((each) => askAbout(world, each))), [401, 401]);
  t.same(tracesIn(home), []);
});

testWithKeystone('a token that was given is not revoked, one that was made of it is', async (t, world) => {
  const { run, getToken, url, listDeleteStatuses } = setUpToken(t, world);
  const { domain, projects } = world.tenancy;
  const given = await getToken();
  const asItIs = { OS_AUTH_URL: url, OS_TOKEN: given };
  t.equal(await getToken(asItIs), given);
  const ran = await run(['logout', '-o', 'json'], asItIs);
  t.equal(ran.status, 0);
  t.match(readLogout(ran).tokens, [{ token: 'given' }]);
  t.equal(await getToken(asItIs), given);
  await run(['logout', '--all', '-o', 'json'], { OS_AUTH_URL: `${url}/elsewhere` });
  t.equal(listDeleteStatuses().length, 1, 'only the one that the password got');
  t.equal(await askAbout(world, given), 401);

  const fresh = await getToken();
  const exchanged = { ...asItIs, OS_TOKEN: fresh, ...onProject(projects.other, domain) };
  const made = await getToken(exchanged);
  t.not(made, fresh);
  t.match(readLogout(await run(['logout', '-o', 'json'], exchanged)).tokens, [{ token: 'revoked' }]);
  t.same(await Promise.all([made, fresh].map((each) => askAbout(world, each))), [401, 200]);
});

testWithKeystone('over TLS: as it was reached, whatever is set now; never unverified', async (t, world) => {
  const { home, run, getToken } = setUpToken(t, world);
  const { tls, pki, tenancy } = world;
  const authorities = join(home.path, 'ca.pem');
  writeFileSync(authorities, readFileSync(pki.ca));
  const login = { OS_AUTH_URL: tls.url, ...asUser(tenancy.users.alice, tenancy.domain) };
  const here = { ...login, ...onProject(tenancy.projects.demo, tenancy.domain), OS_CACERT: authorities };
  const there = { ...login, ...onProject(tenancy.projects.other, tenancy.domain), OS_INSECURE: 'true' };

  const trusted = await getToken(here);
  t.match(await run(['logout', '--all'], {}), { status: 0, stdout: / revoked\n$/, stderr: '' });
  t.equal(await askAbout(world, trusted), 401, 'by the authorities that it was reached with');

  const again = await getToken(here);
  writeFileSync(authorities, `${readFileSync(pki.ca, 'utf8')}\n`);
  const changed = await run(['logout', '--all', '-o', 'json'], {});
  t.equal(changed.status, 6);
  t.match(readLogout(changed).tokens, [{ token: 'not-revoked', because: /certificate files .* have changed/ }]);
  t.match(
    changed.stderr,
    /^client-keystone-auth: warning: the token of alice \(project demo .*\) is not revoked, and good until \d{4}-.*\n$/,
  );
  t.equal(await askAbout(world, again), 200);
  t.same(tracesIn(home), [], 'forgotten all the same');

  const doubtful = await getToken(there);
  const refused = await run(['logout', '--all', '-o', 'json'], {});
  t.match(readLogout(refused).tokens, [{ token: 'not-revoked', because: /was not checked/ }]);
  t.equal(await askAbout(world, doubtful), 200);
  const accepted = await getToken(there);
  t.match(await run(['logout'], there), { status: 0, stdout: / revoked\n$/ }, 'whoever asks for it so gets it');
  t.equal(await askAbout(world, accepted), 401);
});

void t.test('a Keystone that does not answer, or refuses: forgotten anyway, with a warning and a status', async (t) => {
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
  const ran = await runPlugin({ home, env, args: ['logout', '-o', 'json', '--timeout', '5'] });
  t.equal(ran.status, 6, ran.stderr);
  t.match(ran.stderr, /^client-keystone-auth: warning: the token of alice .* is not revoked, and good until [^\n]*\n$/);
  t.match(readLogout(ran).tokens, [{ token: 'not-revoked' }]);
  t.same(tracesIn(home), []);
});

void t.test('a token goes to the endpoint that it is from, and to trusted origins only', async (t) => {
  const [standIn, other] = [await startKeystoneForTest(t), await startKeystoneForTest(t)];
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  t.equal((await runPlugin({ home, env: makeLoginSettings(`${standIn.url}/v3`) })).status, 0);
  const before = [standIn.requests.length, other.requests.length];
  const ran = await runPlugin({ home, env: makeLoginSettings(`${other.url}/v3`), args: ['logout', '-o', 'json'] });
  t.match(readLogout(ran), { tokens: [] }, 'these settings have no token');
  t.same([standIn.requests.length, other.requests.length], before);
  t.equal((await runPlugin({ home, env: makeLoginSettings(`${other.url}/v3`), args: ['logout', '--all'] })).status, 0);
  t.same(
    [standIn.requests.length, other.requests.length],
    [(before[0] ?? 0) + 1, before[1]],
    'one request, to its own Keystone',
  );
});

testWithKeystone('a planted link under the name of a record is left alone', async (t, world) => {
  const { home, run, getToken } = setUpToken(t, world);
  await getToken();
  const [name = ''] = tokensIn(home);
  const canary = join(home.path, 'canary');
  writeFileSync(canary, 'canary', { mode: 0o600 });
  rmSync(join(home.cache, name));
  symlinkSync(canary, join(home.cache, name));
  t.match(await run(['logout']), { status: 1, stderr: /is not a file of yours, so it is not removed/ });
  t.equal(readFileSync(canary, 'utf8'), 'canary');
});

testWithKeystone('logout while many plugins run: no crash, and no stale token afterwards', async (t, world) => {
  const { home, run, getToken } = setUpToken(t, world);
  const first = await getToken();
  let stale = 0;
  for (let round = 0; round < 3; round += 1) {
    const plugins = Array.from({ length: 20 }, () => run([]));
    const [out, ...ran] = await Promise.all([run(['logout', '-o', 'json']), ...plugins]);
    t.match([out.status, out.stderr], [0, '']);
    for (const { status, stderr, stdout } of ran) {
      t.same([status, stderr], [0, '']);
      t.match(stdout, /"token":"[^"]+"/);
    }
    // Of what plugins that began before the end of the logout were given, some may be dead; nothing after it.
    const after = await getToken();
    if ((await askAbout(world, after)) !== 200) stale += 1;
    for (const { token: fate } of readLogout(out).tokens) t.equal(fate, 'revoked');
  }
  t.equal(stale, 0);
  t.equal(await askAbout(world, first), 401);
  t.equal(tokensIn(home).length, 1);
});
