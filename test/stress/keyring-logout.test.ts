// Tokens in the keyring: status tells whose they are without asking it, logout takes them out of it and has Keystone end
// them, and a keyring that does not answer costs neither the rest nor more than a few seconds.

import { readdirSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { KEYRING_MISSING, listPluginLines, runWithKeyring } from '../support/keyring.ts';
import type { KeyringRun } from '../support/keyring.ts';
import { PLUGIN_COMMAND, makeEnvironment, makeHome } from '../support/run-plugin.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

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
  const mark = watchRequests(http);
  const { users, domain, projects } = tenancy;
  const env = makeEnvironment(home, {
    OS_AUTH_URL: mark.url,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'keyring',
  });
  return {
    run: (script) => runWithKeyring({ home, env, script, command: PLUGIN_COMMAND }),
    countDeletes: () => listRequests(mark).filter(({ method }) => method === 'DELETE').length,
    cache: home.cache,
  };
}

async function askAbout({ http }: TestEnvironment, token: string): Promise<number> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const answer = await fetch(`${http.url}/v3/auth/tokens`, { method: 'HEAD', headers });
  return answer.status;
}

const tokenIn = (document = ''): string => /"token":"([^"]+)"/.exec(document)?.[1] ?? 'none';

function testWithKeyring(name: string, body: (t: Test, world: TestEnvironment) => Promise<void>): void {
  if (KEYRING_MISSING === false) testWithKeystone(name, body);
  else void t.test(name, { skip: KEYRING_MISSING }, () => undefined);
}

testWithKeyring('logout takes a token out of the keyring, and Keystone ends it', async (t, world) => {
  const { run, countDeletes, cache } = setUpKeyringLogout(t, world);
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
  const [first, status = '', out = '', empty, second, other, later = '', all = '', end] = parts;
  const secrets = [first, second, other].map(tokenIn);
  t.match(JSON.parse(status), {
    identities: [{ user: 'alice', scope: 'project demo (My Domain)', storage: 'keyring', present: true }],
    present: { loggedIn: true },
  });
  t.match(JSON.parse(out), { tokens: [{ user: 'alice', token: 'revoked' }], failures: [] });
  t.equal(empty?.trim(), '', 'nothing is in the keyring');
  t.equal(new Set(secrets).size, 3, 'the next run logs in anew');
  t.match(JSON.parse(later), { identities: [{ storage: 'keyring', present: false }, { storage: 'keyring' }] });
  t.match(JSON.parse(all), { tokens: [{ token: 'revoked' }, { token: 'revoked' }], failures: [] });
  t.equal(end?.trim(), '');
  t.equal(countDeletes(), 3);
  for (const token of secrets) t.ok([401, 404].includes(await askAbout(world, token)), 'Keystone knows it no more');
  t.notOk(
    secrets.some((token) => `${status}${out}${later}${all}${stderr}`.includes(token)),
    'no token in what is said',
  );
  t.same(
    readdirSync(cache).filter((name) => !name.endsWith('.lock')),
    [],
  );
});

testWithKeyring('cache clean --all takes tokens out of the keyring, and revokes none', async (t, world) => {
  const { run, countDeletes } = setUpKeyringLogout(t, world);
  const { parts, stderr } = await run(`"$@"; part; "$@" cache clean --all -o json; part; ${SEARCH}`);
  t.strictSame(listPluginLines(stderr), []);
  t.match(JSON.parse(parts[1] ?? ''), { keyringEntries: 1, left: [], revoked: false });
  t.equal(parts[2]?.trim(), '');
  t.equal(countDeletes(), 0);
  t.equal(await askAbout(world, tokenIn(parts[0])), 200);
});

testWithKeyring('a keyring that has stopped: said, not hung, and to be tried again', async (t, world) => {
  const { run } = setUpKeyringLogout(t, world);
  const script = `
    "$@"; part; kill -STOP "$daemon"
    from=$(date +%s%N); "$@" logout -o json; status=$?; to=$(date +%s%N); part
    echo $status $(( (to - from) / 1000000 )); part
    kill -CONT "$daemon"; "$@" status -o json; part; "$@" logout -o json
  `;
  const { parts, stderr } = await run(script);
  const [, out = '', measured = '', status = '', again = ''] = parts;
  const [code, ms = Number.NaN] = measured.trim().split(' ').map(Number);
  t.equal(code, 1);
  t.ok(ms < 20_000, `ended after ${String(ms)} ms`);
  t.match(JSON.parse(out), { tokens: [], failures: [/the keyring (?:cannot be used|did not answer within 3 s)/] });
  t.match(listPluginLines(stderr).join('\n'), /warning: the keyring (?:cannot be used|did not answer)/);
  t.match(JSON.parse(status), { identities: [{ user: 'alice', storage: 'keyring' }] }, 'it is not lost');
  t.match(JSON.parse(again), { tokens: [{ token: 'revoked' }], failures: [] });
});
