// Tokens in the user's keyring instead of files. A keyring that is absent, locked or unresponsive must cost only a
// warning and a few seconds, never the token. The tests use a real gnome-keyring on a private bus; a bus that accepts
// connections without answering and a stopped service are the unresponsive cases.

import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { checkSuccess } from '../support/check-run.ts';
import { PLUGIN_COMMAND } from '../support/built-programs.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { Home } from '../support/home.ts';
import { listPluginLines, makePatient, runWithKeyring, testWithKeyring } from '../support/keyring.ts';
import type { KeyringRun } from '../support/keyring.ts';
import { asAliceOnDemo } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { waitUntil } from '../support/wait-until.ts';

const USES_KEYRING = '--cache-storage=keyring';

/** Alice on demo. */
const setUpAlice = (t: Test, { http, tenancy }: TestEnvironment): Fixture =>
  setUp(t, { keystone: watchRequests(http), settings: asAliceOnDemo(tenancy), runner: runPlugin });

const listFiles = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' });

const hasTokenFiles = (home: Home): boolean => listFiles(home.path).some((name) => name.endsWith('.token'));

/** Runs a script with an unlocked keyring; `"$@"` is the plugin, which uses it. */
const withKeyring = (user: Fixture, script: string): Promise<KeyringRun> =>
  runWithKeyring(user, script, { command: [...PLUGIN_COMMAND, USES_KEYRING] });

testWithKeyring('a token is stored in the keyring and in no file', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const script = `
    "$@" ${USES_KEYRING}; part; "$@" ${USES_KEYRING}; part
    secret-tool search --all service client-keystone-auth 2>&1; part
    CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=keyring "$@"; part
    OS_PROJECT_NAME=other CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=keyring "$@"
  `;
  const { parts, stderr, status } = await runWithKeyring(user, script);
  const [first = '', second, search = '', third, other = ''] = parts;
  t.equal(status, 0, stderr);
  t.strictSame(listPluginLines(stderr), [], 'no warning');
  const token = /"token":"([^"]+)"/.exec(first)?.[1] ?? 'none';
  t.match(first, /^\{"apiVersion".*\}\n$/);
  t.equal(second, first, 'the second run returns the same token');
  t.equal(third, first, 'a run with the variable returns it too');
  t.ok(search.includes(token), 'the keyring contains it');
  t.match(search, 'attribute.service = client-keystone-auth', 'with the name of the plugin');
  t.match(other, /^\{"apiVersion".*\}\n$/);
  t.notOk(other.includes(token), 'another project gets another token');
  t.equal(user.countRequests(), 2, 'four runs with two identities: 2 requests');
  t.notOk(hasTokenFiles(user.home), 'no token in any file');
  const cacheFiles = listFiles(user.home.path).filter((name) => name.includes('client-keystone-auth/'));
  t.notOk(
    cacheFiles.some((name) => name.endsWith('.alias')),
    `there is no alias for the fast path either: ${cacheFiles.join(', ')}`,
  );
});

function checkDegraded(t: Test, result: RunResult, what: string, warning: RegExp): void {
  const lines = listPluginLines(result.stderr);
  t.equal(result.status, 0, `${what}: ${result.stderr}`);
  t.match(result.stdout, /^\{"apiVersion".*"token":"[^"]+"\}\}\n$/, `${what}: the token is printed`);
  t.equal(lines.length, 1, `${what}: one warning`);
  t.match(lines[0], warning);
}

testWithKeystone('without a bus, the token is printed with a warning', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const result = await user.with(makePatient(user.home)).run(USES_KEYRING);
  checkDegraded(t, result, 'no keyring', /warning: the keyring cannot be used; the next run will log in again$/);
  t.equal(user.countRequests(), 1);
  t.notOk(hasTokenFiles(user.home), 'the token is not stored elsewhere');
});

testWithKeystone('with an unresponsive bus, the token is printed with a warning', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const path = join(user.home.path, 'bus');
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined).resume();
  });
  await new Promise<void>((done) => void server.listen(path, done));
  t.teardown(() => server.close());
  const result = await user.with({ DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` }).run(USES_KEYRING);
  checkDegraded(t, result, 'an unresponsive bus', /warning: the keyring did not answer within 3 s; the next run/);
  t.equal(user.countRequests(), 1);
  t.ok(connections <= 1, 'the bus is not asked again');
  // The connection of a helper that still runs would be open.
  const countOpen = (): Promise<number> =>
    new Promise((done, fail) =>
      server.getConnections((error, number) => (error === null ? done(number) : fail(error))),
    );
  await waitUntil('the end of the helper', async () => (await countOpen()) === 0);
});

const LOCK = `gdbus call --session --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets \\
  --method org.freedesktop.Secret.Service.Lock "['/org/freedesktop/secrets/collection/login']" >/dev/null; `;

async function checkUnusable(
  t: Test,
  environment: TestEnvironment,
  what: string,
  script: string,
  warning: RegExp,
): Promise<void> {
  const user = setUpAlice(t, environment);
  const result = await withKeyring(user, `${script} expect_silence; "$@"; status=$?; part; echo $status`);
  const [stdout = '', status] = result.parts;
  checkDegraded(t, { ...result, stdout, status: Number(status) }, what, warning);
  t.equal(user.countRequests(), 1, '1 login');
  t.notOk(hasTokenFiles(user.home), 'no token in any file');
}

const UNUSABLE = /warning: the keyring (?:cannot be used|did not answer within 3 s); the next run will log in again$/;

testWithKeyring('with a stopped service, the token is printed with a warning', (t, environment) =>
  checkUnusable(t, environment, 'a stopped service', 'stop_keyring;', UNUSABLE),
);

testWithKeyring('with a locked keyring, the token is printed with a warning', (t, environment) =>
  checkUnusable(t, environment, 'a locked keyring', LOCK, UNUSABLE),
);

testWithKeystone('with --cache-storage=none, nothing is stored', async (t, environment) => {
  const user = setUpAlice(t, environment);
  checkSuccess(t, await user.run('--cache-storage=none'));
  checkSuccess(t, await user.with({ CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' }).run());
  t.equal(user.countRequests(), 2, 'each run logs in');
  t.strictSame(listFiles(user.home.path), [], 'nothing is written anywhere');
});

testWithKeystone('--cache-dir and its variable set the cache folder', async (t, environment) => {
  const user = setUpAlice(t, environment);
  const folder = join(user.home.path, 'token cache');
  const byVariable = user.with({ CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder });
  const first = checkSuccess(t, await byVariable.run());
  t.ok(
    readdirSync(folder).some((name) => name.endsWith('.token')),
    'the files are in that folder',
  );
  t.strictSame(readdirSync(user.home.path), ['token cache'], 'no other file is written');
  for (const result of [
    await byVariable.run(),
    await user.run('--cache-dir', folder),
    await user.run(`--cache-dir=${folder}`),
  ]) {
    t.equal(checkSuccess(t, result).token, first.token);
  }
  t.equal(user.countRequests(), 1, 'all other runs are cache hits');
  checkSuccess(t, await byVariable.run('--cache-dir', 'relative'));
  t.ok(
    readdirSync(join(user.home.path, 'relative')).length > 0,
    'the flag overrides the variable, and can be relative',
  );
  t.equal(user.countRequests(), 2);
});
