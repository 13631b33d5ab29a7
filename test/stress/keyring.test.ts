// A token in the user's keyring instead of a file: it must really be there, and a keyring that is absent, locked or hung
// must cost a warning and a few seconds, never the token. A real gnome-keyring on a private bus; what hangs is a bus that
// accepts and then says nothing, and a service that is stopped in the middle of its life.

import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { formatSeconds, startProgram } from '../support/stress.ts';
import type { TimedRun } from '../support/stress.ts';
import { KEYRING_MISSING, listPluginLines, runWithKeyring } from '../support/keyring.ts';
import type { KeyringRun } from '../support/keyring.ts';
import { checkSuccess } from '../support/check-run.ts';
import { PLUGIN_COMMAND, makeEnvironment, makeHome } from '../support/run-plugin.ts';
import type { Home } from '../support/run-plugin.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

const USES_KEYRING = '--cache-storage=keyring';

/** Three seconds for the keyring, the rest for the login and for two busy processors. */
const LONGEST_MS = 5_000;

interface KeyringFixture {
  readonly home: Home;
  readonly env: Record<string, string>;
  readonly count: () => number;
}

function setUpKeyring(t: Test, world: TestEnvironment, env: Readonly<Record<string, string>> = {}): KeyringFixture {
  const home = makeHome();
  t.teardown(() => home.remove());
  const mark = watchRequests(world.http);
  const { domain, projects, users } = world.tenancy;
  const login = { OS_AUTH_URL: `${mark.url}/v3`, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  return {
    home,
    env: makeEnvironment(home, { ...login, ...env }),
    count: () => listRequests(mark).length,
  };
}

const plugin = (...args: string[]): string[] => [...PLUGIN_COMMAND, ...args];

const listFiles = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' });

const keepsTokens = (home: Home): boolean => listFiles(home.path).some((name) => name.endsWith('.token'));

/** Runs a script with an unlocked keyring; `"$@"` is the plugin. */
function withKeyring({ home, env }: KeyringFixture, script: string): Promise<KeyringRun> {
  return runWithKeyring({ home, env, script, command: plugin(USES_KEYRING) });
}

function testWithKeyring(name: string, body: (t: Test, world: TestEnvironment) => Promise<void>): void {
  if (KEYRING_MISSING === false) testWithKeystone(name, body);
  else void t.test(name, { skip: KEYRING_MISSING }, () => undefined);
}

testWithKeyring('a token in the keyring', async (t, world) => {
  const place = setUpKeyring(t, world);
  const script = `
    "$@"; part; "$@"; part
    secret-tool search --all service client-keystone-auth 2>&1; part
    set -- "$1" "$2"; CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=keyring "$@"; part
    OS_PROJECT_NAME=other CLIENT_KEYSTONE_AUTH_CACHE_STORAGE=keyring "$@"
  `;
  const { parts, stderr, status } = await withKeyring(place, script);
  const [first = '', second, found = '', third, other = ''] = parts;
  t.equal(status, 0, stderr);
  t.strictSame(listPluginLines(stderr), [], 'nothing to say');
  const token = /"token":"([^"]+)"/.exec(first)?.[1] ?? 'none';
  t.match(first, /^\{"apiVersion".*\}\n$/);
  t.equal(second, first, 'the second run has the same');
  t.equal(third, first, 'and one that is told by the environment');
  t.ok(found.includes(token), 'the keyring holds it');
  t.match(found, 'attribute.service = client-keystone-auth', 'under our name');
  t.match(other, /^\{"apiVersion".*\}\n$/);
  t.notOk(other.includes(token), 'another project has another');
  t.equal(place.count(), 2, 'four runs with two identities: 2 requests');
  t.notOk(keepsTokens(place.home), 'no token in any file');
  const plain = listFiles(place.home.path).filter((name) => name.includes('client-keystone-auth/'));
  t.notOk(
    plain.some((name) => name.endsWith('.alias')),
    `nothing for the hit path either: ${plain.join(', ')}`,
  );
});

function checkDegraded(t: Test, ran: TimedRun, what: string, warning: RegExp): void {
  const lines = listPluginLines(ran.stderr);
  t.equal(ran.status, 0, `${what}: ${ran.stderr}`);
  t.match(ran.stdout, /^\{"apiVersion".*"token":"[^"]+"\}\}\n$/, `${what}: the token is printed`);
  t.equal(lines.length, 1, `${what}: one warning`);
  t.match(lines[0], warning);
  t.ok(ran.ms <= LONGEST_MS, `${what}: ended after ${formatSeconds(ran.ms)}`);
  t.comment(`${what}: 1 warning, token printed, ended after ${formatSeconds(ran.ms)}`);
}

testWithKeystone('no bus at all', async (t, world) => {
  const { home, env, count } = setUpKeyring(t, world);
  const ran = await startProgram(plugin(USES_KEYRING), env, home.path).ended;
  checkDegraded(t, ran, 'no keyring', /warning: the keyring cannot be used; the next run will log in again$/);
  t.equal(count(), 1);
  t.notOk(keepsTokens(home), 'nor is it put elsewhere in silence');
});

testWithKeystone('a bus that accepts and says nothing', async (t, world) => {
  const { home, env, count } = setUpKeyring(t, world);
  const path = join(home.path, 'bus');
  const server = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((done) => void server.listen(path, done));
  t.teardown(() => server.close());
  const hung = { ...env, DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` };
  const ran = await startProgram(plugin(USES_KEYRING), hung, home.path).ended;
  checkDegraded(t, ran, 'a hung bus', /warning: the keyring did not answer within 3 s; the next run/);
  t.equal(count(), 1);
  // Somebody whose helper hung on would be seen by the server.
  const left = await new Promise<number>((done, fail) => {
    server.getConnections((error, number) => (error === null ? done(number) : fail(error)));
  });
  t.equal(left, 0, 'and nobody is left waiting');
});

/** The plugin between two readings of the clock: how long the bus takes to come and go is not the plugin's time. */
const TIMED = `from=$(date +%s%N); "$@"; status=$?; to=$(date +%s%N); part; echo $status $(( (to - from) / 1000000 ))`;

const LOCK = `gdbus call --session --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets \\
  --method org.freedesktop.Secret.Service.Lock "['/org/freedesktop/secrets/collection/login']" >/dev/null; `;

async function checkTimed(
  t: Test,
  world: TestEnvironment,
  what: string,
  script: string,
  warning: RegExp,
): Promise<void> {
  const place = setUpKeyring(t, world);
  const ran = await withKeyring(place, script + TIMED);
  const [stdout = '', measured = ''] = ran.parts;
  const [status, ms] = measured.trim().split(' ').map(Number);
  checkDegraded(t, { ...ran, stdout, status: status ?? null, ms: ms ?? Number.NaN }, what, warning);
  t.equal(place.count(), 1, '1 login');
  t.notOk(keepsTokens(place.home), 'no token in any file');
}

const UNUSABLE = /warning: the keyring (?:cannot be used|did not answer within 3 s); the next run will log in again$/;

testWithKeyring('a service that has stopped', (t, world) =>
  checkTimed(t, world, 'a hung service', 'kill -STOP "$daemon"; ', UNUSABLE),
);

testWithKeyring('a locked keyring', (t, world) => checkTimed(t, world, 'a locked keyring', LOCK, UNUSABLE));

testWithKeystone('nothing is kept at all', async (t, world) => {
  const { home, env, count } = setUpKeyring(t, world);
  for (const [args, more] of [
    [['--cache-storage=none'], {}],
    [[], { CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none' }],
  ] as const) {
    checkSuccess(t, await startProgram(plugin(...args), { ...env, ...more }, home.path).ended);
  }
  t.equal(count(), 2, 'each run logs in');
  t.strictSame(listFiles(home.path), [], 'nothing is written anywhere');
});

testWithKeystone('another folder', async (t, world) => {
  const { home, env, count } = setUpKeyring(t, world);
  const folder = join(home.path, 'kept here');
  const run = (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<TimedRun> =>
    startProgram(plugin(...args), { ...env, ...more }, home.path).ended;
  const byVariable = { CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder };
  const first = checkSuccess(t, await run([], byVariable));
  t.ok(
    readdirSync(folder).some((name) => name.endsWith('.token')),
    'the files go there',
  );
  t.strictSame(readdirSync(home.path), ['kept here'], 'and nowhere else');
  for (const ran of [
    await run([], byVariable),
    await run(['--cache-dir', folder]),
    await run([`--cache-dir=${folder}`]),
  ]) {
    t.equal(checkSuccess(t, ran).token, first.token);
  }
  t.equal(count(), 1, 'all of them are hits');
  checkSuccess(t, await run(['--cache-dir', 'relative'], byVariable));
  t.ok(readdirSync(join(home.path, 'relative')).length > 0, 'the flag is stronger, and may be relative');
  t.equal(count(), 2);
});
