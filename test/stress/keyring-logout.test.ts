// Tokens in the keyring: status lists their owners without asking the keyring, logout removes them from the keyring and
// revokes them, and a keyring that does not answer delays a command only by a few seconds.

import { readdirSync } from 'node:fs';
import type { Test } from 'tap';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { listPluginLines, runWithKeyring, testWithKeyring } from '../support/keyring.ts';
import { asAliceOnDemo } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { makeExchangeSettings, readClaims, startStandInExchange } from '../support/stand-in-exchange.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const SEARCH = 'secret-tool search --all service client-keystone-auth 2>&1';

/** Alice on demo, whose tokens are in the keyring. */
const setUpAlice = (t: Test, { http, tenancy }: TestEnvironment): Fixture =>
  setUp(t, {
    keystone: watchRequests(http),
    settings: { ...asAliceOnDemo(tenancy), CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'keyring' },
  });

const countDeletes = (user: Fixture): number => user.listRequests().filter((line) => line.startsWith('DELETE ')).length;

async function checkToken({ http }: TestEnvironment, token: string): Promise<number> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const response = await fetch(`${http.url}/v3/auth/tokens`, { method: 'HEAD', headers });
  return response.status;
}

const tokenIn = (document = ''): string => /"token":"([^"]+)"/.exec(document)?.[1] ?? 'none';

testWithKeyring(
  'both tokens of an exchange are in the keyring alone, and logout removes both',
  async (t, environment) => {
    const issuer = await startStandInExchange(t, { keystone: environment.http.url });
    const user = setUpAlice(t, environment).with(makeExchangeSettings(issuer));
    const script = `
    "$@"; part; "$@"; part; ${SEARCH} | grep -c '^\\[/'; part
    cat "$HOME"/.cache/client-keystone-auth/*; part; "$@" status -o json; part
    "$@" logout -o json; part; ${SEARCH}
  `;
    const { parts, stderr } = await runWithKeyring(user, script);
    t.strictSame(listPluginLines(stderr), []);
    const [first, second, count, files = '', status = '', logout = '', search] = parts;
    const jwt = tokenIn(first);
    t.match(readClaims(jwt), { aud: 'prod', preferred_username: 'alice' });
    t.equal(tokenIn(second), jwt);
    t.same([user.countLogins(), issuer.countExchanges()], [1, 1]);
    t.equal(count?.trim(), '2', 'the Keystone token and the JWT');
    const keystoneToken = issuer.requests.at(-1)?.form.get('subject_token') ?? 'none';
    for (const token of [jwt, keystoneToken])
      t.notOk(`${files}${status}${logout}`.includes(token), 'no file has a token');
    const scopes = ['cluster prod', 'project demo (My Domain)'];
    t.match(JSON.parse(status), { identities: scopes.map((scope) => ({ scope, storage: 'keyring', current: true })) });
    t.match(JSON.parse(logout), { failures: [] });
    t.equal(search?.trim(), '', 'the keyring is empty');
    t.ok([401, 404].includes(await checkToken(environment, keystoneToken)), 'Keystone has revoked its token');
  },
);

testWithKeyring('logout removes a token from the keyring and revokes it', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const script = `
    "$@"; part; "$@" status -o json; part
    "$@" logout -o json; part; ${SEARCH}; part
    "$@"; part
    OS_PROJECT_NAME=other "$@"; part
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=file "$@" status -o json; part
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=file "$@" logout --all -o json; part; ${SEARCH}
  `;
  const { parts, stderr } = await runWithKeyring(user, script);
  t.strictSame(listPluginLines(stderr), []);
  const [first, status = '', logout = '', search, second, other, laterStatus = '', logoutAll = '', finalSearch] = parts;
  const tokens = [first, second, other].map(tokenIn);
  t.match(JSON.parse(status), {
    identities: [{ user: 'alice', scope: 'project demo (My Domain)', storage: 'keyring', current: true }],
    current: { loggedIn: true },
  });
  t.match(JSON.parse(logout), { tokens: [{ user: 'alice', token: /^revoked$/ }], failures: [] });
  t.equal(search?.trim(), '', 'the keyring is empty');
  t.equal(new Set(tokens).size, 3, 'the next run logs in again');
  t.match(JSON.parse(laterStatus), { identities: [{ storage: 'keyring', current: false }, { storage: 'keyring' }] });
  t.match(JSON.parse(logoutAll), { tokens: [{ token: /^revoked$/ }, { token: /^revoked$/ }], failures: [] });
  t.equal(finalSearch?.trim(), '');
  t.equal(countDeletes(user), 3);
  for (const token of tokens)
    t.ok([401, 404].includes(await checkToken(environment, token)), 'Keystone does not know it any more');
  t.notOk(
    tokens.some((token) => `${status}${logout}${laterStatus}${logoutAll}${stderr}`.includes(token)),
    'no output contains a token',
  );
  t.same(
    readdirSync(user.home.cache).filter((name) => !name.endsWith('.lock')),
    [],
  );
});

testWithKeyring('cache clean --all removes tokens from the keyring without revoking them', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const { parts, stderr } = await runWithKeyring(user, `"$@"; part; "$@" cache clean --all -o json; part; ${SEARCH}`);
  t.strictSame(listPluginLines(stderr), []);
  t.match(JSON.parse(parts[1] ?? ''), { keyringEntries: 1, left: [], revoked: false });
  t.equal(parts[2]?.trim(), '');
  t.equal(countDeletes(user), 0);
  t.equal(await checkToken(environment, tokenIn(parts[0])), 200);
});

testWithKeyring('logout reports a stopped keyring, and can be repeated', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const script = `
    "$@"; part; stop_keyring
    "$@" logout -o json; status=$?; part
    echo $status; part
    continue_keyring; "$@" status -o json; part; "$@" logout -o json
  `;
  const { parts, stderr } = await runWithKeyring(user, script);
  const [, logout = '', exitStatus, status = '', secondLogout = ''] = parts;
  t.equal(Number(exitStatus), 1);
  t.match(JSON.parse(logout), { tokens: [], failures: [/the keyring (?:cannot be used|did not answer within 3 s)/] });
  t.match(listPluginLines(stderr).join('\n'), /warning: the keyring (?:cannot be used|did not answer)/);
  t.match(JSON.parse(status), { identities: [{ user: 'alice', storage: 'keyring' }] }, 'it is not lost');
  t.match(JSON.parse(secondLogout), { tokens: [{ token: /^revoked$/ }], failures: [] });
});
