// The stores of the signing keys, without a server: what can be wrong with a folder, a lock or a Secret, and the hints.

import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ensurePrivateFile } from '../../src/shared/base/write-private-file.ts';
import { openKernelLock } from '../../src/shared/base/kernel-lock.ts';
import { openFileKeyStore } from '../../src/webhook/issuer/file-key-store.ts';
import { renderKeyDocument } from '../../src/webhook/issuer/key-document.ts';
import { findNextRotation, hasWaitingKey, isRotationDue } from '../../src/webhook/issuer/key-schedule.ts';
import type { KeyStore } from '../../src/webhook/issuer/key-store.ts';
import { openSecretKeyStore } from '../../src/webhook/issuer/secret-key-store.ts';
import { makeSigningKey } from '../../src/webhook/issuer/signing-key.ts';
import { ClusterError } from '../../src/webhook/sources/cluster-error.ts';
import type { ClusterSecrets, SecretContent } from '../../src/webhook/sources/cluster.ts';

const UID = process.geteuid?.();
const key = await makeSigningKey('ES256', { createdAt: 0, signsFrom: 0 });

const openFile = (path: string, uid = UID): KeyStore =>
  openFileKeyStore({ file: { path, origin: '--signing-keys-file' }, uid });

void t.test('a folder that is missing, or cannot be accessed, is named with what to do', (t) => {
  const folder = t.testdir({ file: '' });
  symlinkSync('loop', join(folder, 'loop'));
  for (const path of ['missing/keys.json', 'file/keys.json']) {
    t.throws(() => openFile(join(folder, path)), {
      message: /^--signing-keys-file: the folder \S+ does not exist$/,
      hint: 'create it with the mode 0700',
    });
  }
  for (const [path, code] of [
    ['loop/keys.json', 'ELOOP'],
    [`${'x'.repeat(300)}/keys.json`, 'ENAMETOOLONG'],
  ] as const) {
    t.throws(() => openFile(join(folder, path)), {
      code: 'config-invalid',
      message: new RegExp(`cannot be accessed \\(${code}\\)$`),
      hint: /must be allowed/,
    });
  }
  t.end();
});

void t.test('a folder of root is as good as one of the user, and one of others is not', (t) => {
  const folder = t.testdir({});
  chmodSync(folder, 0o700);
  const path = join(folder, 'keys.json');
  t.equal(openFile(path).place, path);
  const open = (): unknown => openFile(path, (UID ?? 0) + 1);
  if (UID === 0) t.doesNotThrow(open);
  else t.throws(open, { message: /belongs to another user/, hint: /mode to 0700/ });
  t.end();
});

void t.test('keys that cannot be written are an error, and so is a lock', async (t) => {
  const folder = join(t.testdir({}), 'keys');
  const path = join(folder, 'keys.json');
  mkdirSync(folder, { mode: 0o700 });
  const store = openFile(path);
  await store.create([key]);
  const lost = store.update(async (keys) => {
    await Promise.resolve();
    rmSync(folder, { recursive: true });
    return keys;
  });
  const hint = 'the user of the issuer must be allowed to write to the folder';
  await t.rejects(lost, { code: 'config-invalid', message: /cannot be written to \S+ \(ENOENT\)$/, hint });
  await t.rejects(store.create([key]), { message: /the lock \S+\.lock cannot be acquired \(ENOENT\)$/, hint });
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(`${path}.lock`, 'no database, but as long as one: '.repeat(200), { mode: 0o600 });
  await t.rejects(store.create([key]), { message: /cannot be acquired \(file is not a database\)$/, hint });
});

void t.test('a change waits for the lock of another process', async (t) => {
  const folder = t.testdir({});
  chmodSync(folder, 0o700);
  const path = join(folder, 'keys.json');
  ensurePrivateFile(`${path}.lock`);
  const lock = await openKernelLock(`${path}.lock`);
  t.ok(lock.tryAcquire());
  const store = openFile(path);
  let isCreated = false;
  const creating = store.create([key]).then(() => (isCreated = true));
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(isCreated);
  lock.close();
  await creating;
  t.match(await store.read(), [{ kid: key.kid, publicJwk: { kid: key.kid, use: 'sig', alg: 'ES256' } }]);
});

const unusable = (): never => {
  throw new Error('not expected');
};

const openSecret = (cluster: Partial<ClusterSecrets>): KeyStore =>
  openSecretKeyStore({
    secret: { namespace: 'keystone', name: 'keys' },
    cluster: { readSecret: unusable, createSecret: unusable, ...cluster },
  });

void t.test('an answer of the API server has a hint of its own', async (t) => {
  const rows: readonly (readonly [status: number | undefined, use: RegExp, create: RegExp])[] = [
    [401, /credentials for the API server/, /credentials for the API server/],
    [403, /rights to get and update this Secret/, /right to create Secrets in the namespace keystone/],
    [404, /restore it from a backup/, /create the namespace keystone first/],
    [422, /must not be immutable/, /check the API server and the connection/],
    [500, /check the API server and the connection/, /check the API server and the connection/],
    [undefined, /check the API server and the connection/, /check the API server and the connection/],
  ];
  for (const [status, use, create] of rows) {
    const fail = () => Promise.reject(new ClusterError('because', status));
    const store = openSecret({ readSecret: fail, createSecret: fail });
    const error = {
      code: 'unreachable',
      message: 'the signing keys in the Secret keystone/keys cannot be used: because',
    };
    await t.rejects(store.read(), { ...error, hint: use }, String(status));
    await t.rejects(store.create([key]), { ...error, hint: create }, String(status));
  }
  await t.rejects(openSecret({}).read(), { message: 'not expected' }, 'a bug is not an answer');
});

void t.test('a Secret that is missing or there already is named', async (t) => {
  const store = openSecret({
    readSecret: () => Promise.resolve(undefined),
    createSecret: () => Promise.resolve(false),
  });
  t.equal(store.place, 'Secret keystone/keys');
  await t.rejects(store.read(), { message: /does not exist$/, hint: /"issuer rotate --create"$/ });
  await t.rejects(store.create([key]), { message: /already exists$/, hint: 'leave out --create' });
});

void t.test('a change is tried again after that of another replica, but not forever', async (t) => {
  let conflicts = 0;
  let reads = 0;
  const replace: SecretContent['replace'] = () => {
    conflicts -= 1;
    return Promise.resolve(conflicts < 0);
  };
  const store = openSecret({
    readSecret: () => {
      reads += 1;
      return Promise.resolve({ data: new Map([['signing-keys.json', renderKeyDocument([key]).reveal()]]), replace });
    },
  });
  conflicts = 4;
  t.match(await store.update((keys) => Promise.resolve(keys)), [{ kid: key.kid }]);
  t.equal(reads, 5);
  conflicts = 5;
  await t.rejects(
    store.update((keys) => Promise.resolve(keys)),
    {
      ...{ code: 'unreachable', message: /keep changing the Secret keystone\/keys/, hint: 'try again' },
    },
  );
  t.equal(reads, 10);
});

void t.test('a replica whose clock is behind all keys makes none', (t) => {
  const settings = { algorithm: 'RS256', rotationMs: 3_600_000, maxAgeMs: 300_000 } as const;
  const keys = [{ ...key, signsFrom: 1_000_000_000_000 }];
  t.notOk(hasWaitingKey(keys, 0));
  t.equal(findNextRotation(keys, 0, settings), Infinity);
  t.notOk(isRotationDue(keys, 0, settings));
  t.ok(isRotationDue(keys, 1_000_000_000_000, settings), 'at the time of the key, one for another algorithm is due');
  t.end();
});
