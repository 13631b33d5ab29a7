/** The requests to the keyring, with a program in the place of the helper. */
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { openKeyring } from '../../src/plugin/cache/keyring.ts';
import { openTokenStore } from '../../src/plugin/cache/open-token-store.ts';
import { serializeRecord } from '../../src/plugin/cache/token-record.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';

interface Helper {
  readonly execPath: string;
  /** What the helper read from stdin. */
  readonly readRequest: () => unknown;
  readonly readArguments: () => string;
}

/** Makes a shell script that records its request, and then runs `lines`. */
function makeHelper(t: Test, ...lines: readonly string[]): Helper {
  const folder = realpathSync(t.testdir());
  const execPath = join(folder, 'helper');
  const script = ['#!/bin/sh', `cat > '${folder}/request'`, `echo "$@" > '${folder}/arguments'`, ...lines];
  writeFileSync(execPath, `${script.join('\n')}\n`);
  chmodSync(execPath, 0o700);
  return {
    execPath,
    readRequest: () => JSON.parse(readFileSync(join(folder, 'request'), 'utf8')) as unknown,
    readArguments: () => readFileSync(join(folder, 'arguments'), 'utf8'),
  };
}

// On Linux, the helper needs a session bus.
const MACOS = 'darwin';

void t.test(
  'the key and the text go to stdin of the helper, and nothing but its path is in its arguments',
  async (t) => {
    const { execPath, readRequest, readArguments } = makeHelper(t, 'echo \'""\'');
    const keyring = openKeyring(fakeHost({ execPath, platform: MACOS }));
    await keyring.write('a-key', 'a text');
    t.strictSame(readRequest(), { key: 'a-key', secret: 'a text' });
    t.match(readArguments(), /^\S+\/keyring\.cjs\n$/);
    await keyring.remove('a-key');
    t.strictSame(readRequest(), { key: 'a-key', remove: true });
    await keyring.read('a-key');
    t.strictSame(readRequest(), { key: 'a-key' });
  },
);

void t.test('what the helper prints is the entry', async (t) => {
  const { execPath } = makeHelper(t, 'echo \'"an \\u001b entry"\'');
  t.equal(await openKeyring(fakeHost({ execPath, platform: MACOS })).read('a-key'), 'an \u001b entry');
  const silent = makeHelper(t);
  const answer = openKeyring(fakeHost({ execPath: silent.execPath, platform: MACOS })).read('a-key');
  await t.rejects(answer, { code: 'cache', message: 'the keyring cannot be used' });
});

void t.test('a helper that fails makes every request fail', async (t) => {
  const { execPath } = makeHelper(t, 'exit 1');
  const keyring = openKeyring(fakeHost({ execPath, platform: MACOS }));
  const failure = { code: 'cache', message: 'the keyring cannot be used' };
  await t.rejects(keyring.read('a-key'), failure);
  await t.rejects(keyring.write('a-key', 'a text'), failure);
  await t.rejects(keyring.remove('a-key'), failure);
});

void t.test('a helper that does not read its request is reported by its exit status', async (t) => {
  const folder = realpathSync(t.testdir());
  const execPath = join(folder, 'helper');
  writeFileSync(execPath, '#!/bin/sh\nexit 1\n');
  chmodSync(execPath, 0o700);
  const write = openKeyring(fakeHost({ execPath, platform: MACOS })).write('a-key', 'x'.repeat(1_000_000));
  await t.rejects(write, { code: 'cache', message: 'the keyring cannot be used' });
  const absent = openKeyring(fakeHost({ execPath: join(folder, 'absent'), platform: MACOS }));
  await t.rejects(absent.read('a-key'), { code: 'cache', message: 'the keyring cannot be used' });
});

void t.test('a helper that hangs is killed, and the message says how long it had', async (t) => {
  const { execPath } = makeHelper(t, 'exec sleep 600');
  await t.rejects(openKeyring(fakeHost({ execPath, platform: MACOS })).read('a-key'), {
    code: 'cache',
    message: 'the keyring did not answer within 3 s',
  });
});

void t.test('on Windows an entry has at most 1280 characters', async (t) => {
  const { execPath, readRequest } = makeHelper(t);
  const keyring = openKeyring(fakeHost({ execPath, platform: 'win32' }));
  await keyring.write('a-key', 'x'.repeat(1_280));
  t.match(readRequest(), { key: 'a-key' });
  await t.rejects(keyring.write('a-key', 'x'.repeat(1_281)), { code: 'cache', message: /too large for the Windows/ });
  await openKeyring(fakeHost({ execPath, platform: MACOS })).write('a-key', 'x'.repeat(1_281));
});

void t.test('the store of the keyring holds records that only their own key opens', async (t) => {
  const record = { token: 'gAAAA', receivedAt: 1, expiresAt: 2, endpoint: 'https://k.test/v3' };
  const helper = makeHelper(t, `printf '%s\\n' '${JSON.stringify(serializeRecord('k1', record))}'`);
  const store = await openTokenStore('keyring', undefined, fakeHost({ execPath: helper.execPath, platform: MACOS }));
  t.equal(store?.onFastPath, false);
  t.strictSame(await store?.read('k1'), record);
  t.equal(await store?.read('k2'), undefined);
  await store?.write('k1', record);
  t.strictSame(helper.readRequest(), { key: 'k1', secret: serializeRecord('k1', record) });
  await store?.remove('k1');
  t.strictSame(helper.readRequest(), { key: 'k1', remove: true });
});

void t.test('the other stores are in files and nowhere', async (t) => {
  const folder = { path: t.testdir(), uid: process.getuid?.() };
  t.equal((await openTokenStore('file', folder, fakeHost()))?.onFastPath, true);
  t.equal(await openTokenStore('file', undefined, fakeHost()), undefined);
  t.equal(await openTokenStore('none', folder, fakeHost()), undefined);
});

void t.test('on Linux, the helper gets the session bus of the user, and does not start without one', async (t) => {
  const { execPath, readRequest } = makeHelper(t, 'printf \'"%s"\' "$DBUS_SESSION_BUS_ADDRESS"');
  const withBus = (address: string): Host =>
    fakeHost({
      execPath,
      uid: process.geteuid?.(),
      platform: 'linux',
      personalVariables: () => ({ DBUS_SESSION_BUS_ADDRESS: address }),
    });
  const absent = openKeyring(withBus('unix:path=/nowhere/bus')).read('a-key');
  await t.rejects(absent, { code: 'cache', message: 'the keyring cannot be used' });
  t.throws(readRequest, { code: 'ENOENT' });
  const folder = mkdtempSync(join(tmpdir(), 'bus-'));
  const server = createServer();
  t.teardown(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'bus'), resolve));
  const address = `unix:path=${join(folder, 'bus')}`;
  t.equal(await openKeyring(withBus(address)).read('a-key'), address);
  const elsewhere = { ...withBus(address), platform: MACOS } as const;
  t.equal(await openKeyring(elsewhere).read('a-key'), '', 'other systems have no bus');
});
