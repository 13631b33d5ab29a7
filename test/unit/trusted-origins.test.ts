/**
 * The user's list of trusted servers. The program finds this list through the system's user database, which a test
 * cannot change. So these tests use another Host. Everything else is real.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { readTrustedOrigins } from '../../src/shared/http/trusted-origins.ts';
import { getExecCredential } from '../../src/plugin/login/cluster-token.ts';
import { waitSilently } from '../../src/shared/base/long-wait.ts';
import { fakeHost } from '../support/fake-host.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/stand-in-login.ts';
import { respondRedirect } from '../support/stand-in-faults.ts';

const uid = process.geteuid?.();

function writeList(home: string, text: string): string {
  const file = join(home, '.config', 'client-keystone-auth', 'trusted-origins');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, 0o644);
  return file;
}

function logIn(home: string, url: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const quiet = {
    warn: () => undefined,
    info: () => undefined,
    progress: () => undefined,
    waitFor: waitSilently,
    debug: () => undefined,
  };
  const all = { ...makeLoginSettings(url), CLIENT_KEYSTONE_AUTH_CACHE_STORAGE: 'none', ...env };
  const host = fakeHost({ uid, env: all, home: () => env['HOME'] ?? home, accountHome: () => home, now: Date.now });
  return getExecCredential({
    host,
    execInfo: undefined,
    flags: new Map(),
    reporter: quiet,
    userAgent: 'test',
    onFastPath: true,
  });
}

void t.test('with a list, other servers get no request', async (t) => {
  const [good, evil] = await Promise.all([startKeystoneForTest(t), startKeystoneForTest(t)]);
  const home = t.testdir();
  const file = writeList(home, `# mine\n\n  ${good.url}/   # the cloud at work\nhttps://KEYSTONE.example.com:443\n`);

  t.match(await logIn(home, `${good.url}/v3`), 'ExecCredential');
  for (const path of ['', '/v3']) {
    await t.rejects(logIn(home, evil.url + path), {
      code: 'config-invalid',
      message: new RegExp(`^Keystone at ${evil.url} is not one of the servers that you trust in ${file}`),
      hint: /OS_AUTH_URL/,
    });
  }
  // Variables that a kubeconfig can set do not change the path of the list.
  const elsewhere = join(home, 'elsewhere');
  mkdirSync(elsewhere);
  const moved = { HOME: elsewhere, XDG_CONFIG_HOME: elsewhere };
  await t.rejects(logIn(home, `${evil.url}/v3`, moved), { code: 'config-invalid' });
  t.equal(evil.requests.length, 0, 'nothing was sent');
  t.strictSame(
    [...(readTrustedOrigins(fakeHost({ uid, accountHome: () => home }))?.origins.keys() ?? [])],
    [good.url, 'https://keystone.example.com'],
  );
});

void t.test('a redirect to a server that is not in the list is not followed', async (t) => {
  const [good, evil] = await Promise.all([startKeystoneForTest(t), startKeystoneForTest(t)]);
  const home = t.testdir();
  writeList(home, good.url);
  good.answerAlways(respondRedirect(307, `${evil.url}/v3/auth/tokens`), 'POST');
  await t.rejects(logIn(home, `${good.url}/v3`), { code: 'redirect-refused' });
  t.equal(evil.requests.length, 0);
});

void t.test('without a list or without a home, every server is allowed', async (t) => {
  const keystone = await startKeystoneForTest(t);
  t.match(await logIn(t.testdir(), `${keystone.url}/v3`), 'ExecCredential');
  t.equal(readTrustedOrigins(fakeHost({ accountHome: () => undefined })), undefined);
});

const BROKEN: Readonly<Record<string, string>> = {
  'an invalid URL': 'keystone.example.com',
  'a path': 'https://keystone.example.com/v3',
  'a user': 'https://me@keystone.example.com',
  'two on one line': 'https://a.example https://b.example',
  'a scheme without an origin': 'file:///etc/passwd',
};

const NOBODY = 65_534;

/** Reads the list without the permissions of root. */
function readAsOther(home: string): unknown {
  const read = (): unknown => readTrustedOrigins(fakeHost({ uid: process.geteuid?.(), accountHome: () => home }));
  if (uid !== 0) return read();
  process.seteuid?.(NOBODY);
  try {
    return read();
  } finally {
    process.seteuid?.(0);
  }
}

void t.test('an invalid list is an error', async (t) => {
  const read = (t: Test, text: string, prepare: (file: string) => void = () => undefined): (() => unknown) => {
    const home = t.testdir();
    prepare(writeList(home, text));
    return () => readTrustedOrigins(fakeHost({ uid, accountHome: () => home }));
  };
  for (const [name, line] of Object.entries(BROKEN)) {
    await t.test(name, async (t) => {
      t.throws(read(t, `https://good.example\n${line}\n`), { message: /line 2 is not an origin/ });
    });
  }
  await t.test('it can be written by other users', async (t) => {
    t.throws(
      read(t, 'https://good.example', (file) => chmodSync(file, 0o666)),
      { message: /can be written by other users/, hint: /chmod go-w/ },
    );
  });
  await t.test('it is a folder', async (t) => {
    const home = t.testdir({ '.config': { 'client-keystone-auth': { 'trusted-origins': {} } } });
    t.throws(() => readTrustedOrigins(fakeHost({ uid, accountHome: () => home })), { message: /cannot be read/ });
  });
  await t.test('it is a link to nowhere', async (t) => {
    const home = t.testdir({ '.config': { 'client-keystone-auth': {} } });
    symlinkSync('dotfiles/list', join(home, '.config/client-keystone-auth/trusted-origins'));
    t.throws(() => readTrustedOrigins(fakeHost({ uid, accountHome: () => home })), { message: /cannot be read/ });
  });
  await t.test('its name is misspelled', async (t) => {
    const home = t.testdir({ '.config': { 'client-keystone-auth': {} } });
    const folder = join(home, '.config/client-keystone-auth');
    const readList = (): unknown => readTrustedOrigins(fakeHost({ uid, accountHome: () => home }));
    for (const name of [
      'trusted_origins',
      'trusted-origin',
      'Trusted-Origins',
      'trusted-orgins',
      'trusted-origins.txt',
    ]) {
      writeFileSync(join(folder, name), 'https://good.example\n');
      t.throws(readList, { message: `${join(folder, name)} is not read`, hint: /^rename it to trusted-origins, / });
      rmSync(join(folder, name));
    }
    for (const name of [
      'trusted-origins.off',
      'trusted-origins.bak',
      'trusted-origins~',
      '#trusted-origins#',
      'notes',
    ]) {
      writeFileSync(join(folder, name), '');
    }
    t.equal(readList(), undefined, 'these are other files');
  });
  await t.test('its folder cannot be entered, but the home can', { skip: process.platform === 'win32' }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'cka-home-'));
    t.teardown(() => {
      chmodSync(home, 0o700);
      chmodSync(folder, 0o700);
      rmSync(home, { recursive: true });
    });
    const folder = dirname(writeList(home, 'https://good.example'));
    for (const path of [home, dirname(folder)]) chmodSync(path, 0o755);
    chmodSync(folder, 0o000);
    t.throws(() => readAsOther(home), { message: /trusted-origins cannot be read/ });
    chmodSync(home, 0o000);
    t.equal(readAsOther(home), undefined, 'a home of somebody else has no list');
  });
  await t.test('it is a circular link', async (t) => {
    const home = t.testdir({ '.config': { 'client-keystone-auth': {} } });
    symlinkSync('trusted-origins', join(home, '.config/client-keystone-auth/trusted-origins'));
    t.throws(() => readTrustedOrigins(fakeHost({ uid, accountHome: () => home })), { message: /cannot be read/ });
  });
});
