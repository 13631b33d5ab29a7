// Tokens in the keyring: status lists their owners without asking the keyring, logout removes them from the keyring and
// revokes them, and a keyring that does not answer delays a command only by a few seconds.

import { readdirSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { KEYRING_MISSING, listPluginLines, runWithKeyring } from '../support/keyring.ts';
import type { KeyringRun } from '../support/keyring.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeEnvironment, makeHome } from '../support/home.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';


const SEARCH = 'secret-tool search --all service client-keystone-auth 2>&1';

interface KeyringLogoutFixture {
  readonly run: (script: string) => Promise<KeyringRun>;
  readonly countDeletes: () => number;
  readonly cache: string;
}

function setUpKeyringLogout(t: Test, { http, tenancy }: TestEnvironment): KeyringLogoutFixture {
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  const watch = watchRequests(http);
  const { users, domain, projects } = tenancy;
  const env = makeEnvironment(home, {
    OS_AUTH_URL: watch.url,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'keyring',
  });
  return {
    run: (script) => runWithKeyring({ home, env, script, command: PLUGIN_COMMAND }),
    countDeletes: () => listRequests(watch).filter(({ method }) => method === 'DELETE').length,
    cache: home.cache,
  };
}

async function checkToken({ http }: TestEnvironment, token: string): Promise<number> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const response = await fetch(`${http.url}/v3/auth/tokens`, { method: 'HEAD', headers });
  return response.status;
}

const tokenIn = (document = ''): string => /"token":"([^"]+)"/.exec(document)?.[1] ?? 'none';

function testWithKeyring(name: string, body: (t: Test, environment: TestEnvironment) => Promise<void>): void {
  if (KEYRING_MISSING === false) testWithKeystone(name, body);
  else void t.test(name, { skip: KEYRING_MISSING }, () => undefined);
}

testWithKeyring('logout removes a token from the keyring and revokes it', async (t, environment) => {
  const { run, countDeletes, cache } = setUpKeyringLogout(t, environment);
  const script = `
    "$@"; part; "$@" status -o json; part
    "$@" logout -o json; part; ${SEARCH}; part
    "$@"; part
    OS_PROJECT_NAME=other "$@"; part
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=file "$@" status -o json; part
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=file "$@" logout --all -o json; part; ${SEARCH}
  `;
  const { parts, stderr } = await run(script);
  t.strictSame(listPluginLines(stderr), []);
  const [first, status = '', logout = '', search, second, other, laterStatus = '', logoutAll = '', finalSearch] = parts;
  const tokens = [first, second, other].map(tokenIn);
  t.match(JSON.parse(status), {
    identities: [{ user: 'alice', scope: 'project demo (My Domain)', storage: 'keyring', present: true }],
    present: { loggedIn: true },
  });
  t.match(JSON.parse(logout), { tokens: [{ user: 'alice', token: 'revoked' }], failures: [] });
  t.equal(search?.trim(), '', 'the keyring is empty');
  t.equal(new Set(tokens).size, 3, 'the next run logs in again');
  t.match(JSON.parse(laterStatus), { identities: [{ storage: 'keyring', present: false }, { storage: 'keyring' }] });
  t.match(JSON.parse(logoutAll), { tokens: [{ token: 'revoked' }, { token: 'revoked' }], failures: [] });
  t.equal(finalSearch?.trim(), '');
  t.equal(countDeletes(), 3);
  for (const token of tokens)
    t.ok([401, 404].includes(await checkToken(environment, token)), 'Keystone does not know it any more');
  t.notOk(
    tokens.some((token) => `${status}${logout}${laterStatus}${logoutAll}${stderr}`.includes(token)),
    'no output contains a token',
  );
  t.same(
    readdirSync(cache).filter((name) => !name.endsWith('.lock')),
    [],
  );
});

testWithKeyring('cache clean --all removes tokens from the keyring without revoking them', async (t, environment) => {
  const { run, countDeletes } = setUpKeyringLogout(t, environment);
  const { parts, stderr } = await run(`"$@"; part; "$@" cache clean --all -o json; part; ${SEARCH}`);
  t.strictSame(listPluginLines(stderr), []);
  t.match(JSON.parse(parts[1] ?? ''), { keyringEntries: 1, left: [], revoked: false });
  t.equal(parts[2]?.trim(), '');
  t.equal(countDeletes(), 0);
  t.equal(await checkToken(environment, tokenIn(parts[0])), 200);
});

testWithKeyring('logout reports a stopped keyring, and can be repeated', async (t, environment) => {
  const { run } = setUpKeyringLogout(t, environment);
  const script = `
    "$@"; part; kill -STOP "$daemon"
    "$@" logout -o json; status=$?; part
    echo $status; part
    kill -CONT "$daemon"; "$@" status -o json; part; "$@" logout -o json
  `;
  const { parts, stderr } = await run(script);
  const [, logout = '', exitStatus, status = '', secondLogout = ''] = parts;
  t.equal(Number(exitStatus), 1);
  t.match(JSON.parse(logout), { tokens: [], failures: [/the keyring (?:cannot be used|did not answer within 3 s)/] });
  t.match(listPluginLines(stderr).join('\n'), /warning: the keyring (?:cannot be used|did not answer)/);
  t.match(JSON.parse(status), { identities: [{ user: 'alice', storage: 'keyring' }] }, 'it is not lost');
  t.match(JSON.parse(secondLogout), { tokens: [{ token: 'revoked' }], failures: [] });
});
