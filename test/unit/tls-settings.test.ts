/** Which authorities and client certificates the TLS settings name, and when a file that cannot be used is an error. */
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { readConfig } from '../../src/plugin/config/read-config.ts';
import { readKeystoneTls } from '../../src/plugin/login/keystone-tls.ts';
import { isFileUnchanged } from '../../src/shared/base/file-stamp.ts';
import type { TlsSettings } from '../../src/shared/http/tls-settings.ts';
import type { EnvVars } from '../support/home.ts';
import { fakeHost } from '../support/fake-host.ts';

const HTTPS = { OS_AUTH_URL: 'https://keystone.example/v3' };
const HTTP = { OS_AUTH_URL: 'http://127.0.0.1:5000/v3' };
const NOWHERE = '/nowhere/of/these/tests';

async function read(env: EnvVars, home?: string): Promise<TlsSettings> {
  const host = fakeHost({ env, cwd: NOWHERE, home: () => home ?? NOWHERE, accountHome: () => home });
  const { config } = await readConfig(host, new Map(), OPTIONS);
  return readKeystoneTls(config, host);
}

let pki: Pki;
const folder = t.testdir({ empty: {}, hashed: {} });
const hashed = join(folder, 'hashed');

t.before(async () => {
  pki = await makePki(join(folder, 'pki'));
  symlinkSync(pki.ca, join(hashed, '0a1b2c3d.0'));
  symlinkSync('../gone.pem', join(hashed, '0a1b2c3d.1'));
  copyFileSync(pki.untrusted.ca, join(hashed, 'other.pem'));
});

const text = (path: string): string => readFileSync(path, 'utf8');

void t.test('variables of other programs name the authorities if no setting of OpenStack does', async (t) => {
  const [requests, curl] = [{ REQUESTS_CA_BUNDLE: pki.ca }, { CURL_CA_BUNDLE: pki.untrusted.ca }];
  t.equal((await read({ ...HTTPS })).ca, undefined);
  t.equal((await read({ ...HTTPS, ...requests, ...curl })).ca, text(pki.ca));
  t.equal((await read({ ...HTTPS, ...curl })).ca, text(pki.untrusted.ca));
  t.equal((await read({ ...HTTPS, ...curl, REQUESTS_CA_BUNDLE: '' })).ca, text(pki.untrusted.ca));
  t.equal((await read({ ...HTTPS, ...curl, OS_CACERT: pki.ca })).ca, text(pki.ca));
  t.equal((await read({ ...HTTPS, ...curl, OS_VERIFY: pki.ca })).ca, text(pki.ca));
  t.match(await read({ ...HTTPS, ...curl, OS_INSECURE: 'true' }), { insecure: true, ca: undefined });
  await t.rejects(read({ ...HTTPS, REQUESTS_CA_BUNDLE: '/nowhere.pem' }), {
    message: 'REQUESTS_CA_BUNDLE: /nowhere.pem cannot be read (ENOENT)',
  });
});

void t.test('a list of trusted servers makes these variables void', async (t) => {
  const home = t.testdir();
  mkdirSync(join(home, '.config', 'client-keystone-auth'), { recursive: true, mode: 0o700 });
  const list = join(home, '.config', 'client-keystone-auth', 'trusted-origins');
  writeFileSync(list, 'https://keystone.example\n', { mode: 0o600 });
  const env = { ...HTTPS, REQUESTS_CA_BUNDLE: pki.ca };
  const host = fakeHost({ env, cwd: NOWHERE, home: () => home, accountHome: () => home, uid: process.getuid?.() ?? 0 });
  const { config } = await readConfig(host, new Map(), OPTIONS);
  t.equal(readKeystoneTls(config, host).ca, undefined);
});

void t.test('verify can be a path, which decides whom to trust', async (t) => {
  t.match(await read({ ...HTTPS, OS_VERIFY: pki.ca }), { insecure: false, ca: text(pki.ca) });
  t.match(await read({ ...HTTPS, OS_VERIFY: 'true' }), { insecure: false, ca: undefined });
  t.match(await read({ ...HTTPS, OS_VERIFY: 'no' }), { insecure: true });
  t.equal((await read({ ...HTTPS, OS_VERIFY: pki.untrusted.ca, OS_CACERT: pki.ca })).ca, text(pki.ca));
  await t.rejects(read({ ...HTTPS, OS_VERIFY: '/nowhere.pem' }), {
    message: /^OS_VERIFY: \/nowhere.pem cannot be read/,
  });
});

void t.test('a certificate and its key can be in one file, which counts once', async (t) => {
  const both = join(folder, 'both.pem');
  writeFileSync(both, text(pki.client.cert) + text(pki.client.key));
  for (const env of [{ OS_CERT: both }, { OS_CERT: both, OS_KEY: both }]) {
    const { cert, key, files } = await read({ ...HTTPS, ...env });
    t.strictSame([cert, key?.reveal()], [text(both), text(both)]);
    t.strictSame(
      files.map(({ path }) => path),
      [both],
    );
  }
});

void t.test('a folder counts with its hashed certificates only, and a new one changes it', async (t) => {
  const { ca, paths, files } = await read({ ...HTTPS, OS_CACERT: hashed });
  t.equal(ca, text(pki.ca), 'neither a file with another name nor a link to nothing');
  t.equal(paths.ca, hashed);
  t.ok(files.every(isFileUnchanged));
  copyFileSync(pki.ca, join(hashed, '99999999.0'));
  t.notOk(files.every(isFileUnchanged));
  await t.rejects(read({ ...HTTPS, OS_CACERT: join(folder, 'empty') }), {
    message: /^OS_CACERT: .*\/empty cannot be read \(it is a folder without hashed certificates\)$/,
    hint: /openssl rehash/,
  });
});

void t.test('a file that cannot be used does not stop a login over http://, and trusts nobody', async (t) => {
  for (const [name, value] of [
    ['OS_CACERT', '/nowhere.pem'],
    ['OS_VERIFY', '/nowhere.pem'],
    ['REQUESTS_CA_BUNDLE', '/nowhere.pem'],
    ['OS_CERT', '/nowhere.pem'],
  ] as const) {
    await t.rejects(read({ ...HTTPS, [name]: value }), { message: new RegExp(`^${name}: `) });
    const tls = await read({ ...HTTP, [name]: value });
    t.match(tls.warnings, [new RegExp(`^${name}: /nowhere.pem cannot be read .*; the URL of Keystone is http://`)]);
    t.equal(tls.ca, name === 'OS_CERT' ? undefined : '', 'no authority instead of those of the system');
    t.equal(tls.cert, undefined);
  }
});

void t.test('a key without a certificate is not used', async (t) => {
  for (const url of [HTTPS, HTTP]) {
    const tls = await read({ ...url, OS_KEY: '/nowhere.pem' });
    t.equal(tls.key, undefined);
    t.strictSame(tls.warnings, ['OS_KEY is not used, because no certificate is set (OS_CERT)']);
  }
  const { client } = pki;
  t.match(await read({ ...HTTPS, OS_CERT: client.cert, OS_KEY: client.key }), {
    cert: text(client.cert),
    warnings: [],
  });
});
