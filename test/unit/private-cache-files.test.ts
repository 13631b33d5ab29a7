/** The files of the cache one by one: private files, locks, the inventory, forgetting, and notes about saved secrets. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { ensureCacheFolder, resolveCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { findCacheFolders } from '../../src/plugin/cache/fallback-folders.ts';
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { serializeWithChecksum } from '../../src/plugin/cache/checksum.ts';
import {
  lockFileName,
  metadataFileName,
  refusalFileName,
  savedSecretFileName,
} from '../../src/plugin/cache/file-names.ts';
import { readRecordFile, writeAliasFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import { forgetIdentity } from '../../src/plugin/cache/forget-identity.ts';
import type { ForgetRequest } from '../../src/plugin/cache/forget-identity.ts';
import { inspectFile } from '../../src/plugin/cache/inventory.ts';
import { acquireLock, acquireLocks } from '../../src/plugin/cache/login-lock.ts';
import { removePrivateFile, withPrivateFile, writePrivateFile } from '../../src/plugin/cache/private-file.ts';
import { prune } from '../../src/plugin/cache/prune.ts';
import { listSavedSecrets, readSavedSecretNote, saveSecret } from '../../src/plugin/cache/saved-secret.ts';
import { readTokenMetadata, writeTokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import type { TokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import type { TokenRecord } from '../../src/plugin/cache/token-record.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { fakeHost } from '../support/fake-host.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { rememberOneRefusal } from '../support/remember-refusal.ts';

const uid = process.geteuid?.();
const NOW = Date.UTC(2100, 0, 1);
const HOUR = 3_600_000;
const keyOf = (digit: string): string => digit.repeat(64);
const [OWN, OTHER, PARTIAL] = [keyOf('a'), keyOf('b'), keyOf('c')];
const endpoint = 'https://keystone.test/v3';
const RECORD = { token: 'gAAAA-token', receivedAt: NOW, expiresAt: NOW + HOUR, endpoint };
const METADATA: TokenMetadata = {
  user: 'alice',
  scope: 'project demo',
  method: 'password',
  expiresAt: NOW + HOUR,
  isRenewable: false,
  storage: 'file',
};
const WAIT = { maxWaitMs: 0, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };

function makeFolder(t: Test): CacheFolder {
  const folder = { path: join(realpathSync(t.testdir()), 'cache'), uid };
  ensureCacheFolder(folder);
  return folder;
}

const list = ({ path }: CacheFolder): string[] => readdirSync(path).filter((name) => !name.endsWith('.lock'));

void t.test('a link in the place of a private file is replaced, and its target stays as it is', async (t) => {
  const folder = makeFolder(t);
  const [target, link] = [join(folder.path, 'target'), join(folder.path, 'link')];
  writeFileSync(target, 'target', { mode: 0o600 });
  symlinkSync(target, link);
  t.equal(
    withPrivateFile(link, uid, () => 'used'),
    'used',
  );
  t.equal(lstatSync(link).isFile(), true);
  t.equal(readFileSync(target, 'utf8'), 'target');
});

void t.test('a failure of the disk is a CacheError that names the file and the code', async (t) => {
  const folder = makeFolder(t);
  const absent = join(folder.path, 'absent', 'file');
  const use = (): string => withPrivateFile(absent, uid, () => 'used');
  t.throws(use, { code: 'cache', message: `${absent} cannot be used (ENOENT)` });
  const failing = (): string =>
    withPrivateFile(join(folder.path, 'file'), uid, () => {
      throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    });
  t.throws(failing, { code: 'cache', message: `${join(folder.path, 'file')} cannot be used (ENOSPC)` });
});

void t.test('a write that fails leaves no temporary file', async (t) => {
  const folder = makeFolder(t);
  mkdirSync(join(folder.path, 'taken'));
  t.throws(() => writePrivateFile(folder.path, 'taken', 'text', NOW), {
    code: 'cache',
    message: /cannot be written to/,
  });
  t.strictSame(list(folder), ['taken']);
});

void t.test('only files of the user are removed', async (t) => {
  const folder = makeFolder(t);
  const at = (name: string): string => join(folder.path, name);
  writePrivateFile(folder.path, 'file', 'text', NOW);
  symlinkSync(at('file'), at('link'));
  mkdirSync(at('folder'));
  t.equal(removePrivateFile(at('link'), uid), false);
  t.equal(removePrivateFile(at('folder'), uid), false);
  t.equal(removePrivateFile(at('file'), uid), true);
  t.equal(removePrivateFile(at('file'), uid), true, 'a missing file is no longer there');
  t.strictSame(list(folder).toSorted(), ['folder', 'link']);
  const below = join(folder.path, 'link', 'file');
  t.doesNotThrow(() => removePrivateFile(below, uid));
});

void t.test('pruning keeps a temporary file for a minute, whatever its time of expiry', async (t) => {
  const folder = makeFolder(t);
  const name = `.${OWN}.token.x1`;
  writePrivateFile(folder.path, name, '', 1_000);
  const { ctimeMs } = statSync(join(folder.path, name));
  prune(folder, ctimeMs + 59_000);
  t.strictSame(list(folder), [name]);
  prune(folder, ctimeMs + 61_000);
  t.strictSame(list(folder), []);
});

void t.test('a wait ends without the lock when the work is done, and the lock is free', async (t) => {
  const folder = makeFolder(t);
  t.equal(await acquireLock(folder, OWN, { ...WAIT, isNoLongerNeeded: () => Promise.resolve(true) }), undefined);
  const release = await acquireLock(folder, OWN, WAIT);
  t.type(release, 'function');
  let attempts = 0;
  const isNoLongerNeeded = async (): Promise<boolean> => (attempts += 1) > 3;
  t.equal(await acquireLock(folder, OWN, { ...WAIT, maxWaitMs: 60_000, isNoLongerNeeded }), undefined);
  t.equal(attempts, 4, 'it is asked before each attempt');
  release?.();
  (await acquireLock(folder, OWN, WAIT))?.();
});

void t.test('a file that cannot be locked is an error, and no other lock stays', async (t) => {
  const folder = makeFolder(t);
  const failure = { code: 'cache', message: /^no lock can be acquired in .* \(.+\)$/ };
  writePrivateFile(folder.path, lockFileName(OTHER), 'not a database, and longer than a header of one'.repeat(10), NOW);
  await t.rejects(acquireLock(folder, OTHER, WAIT), failure);
  await t.rejects(acquireLocks(folder, [OTHER, OWN], WAIT), failure);
  const release = await acquireLock(folder, OWN, WAIT);
  t.type(release, 'function', 'the first lock is free again');
  release?.();
  mkdirSync(join(folder.path, lockFileName(PARTIAL)));
  await t.rejects(acquireLock(folder, PARTIAL, WAIT), { code: 'cache', message: /cannot be used/ });
});

void t.test('a link in the place of a lock is replaced', async (t) => {
  const folder = makeFolder(t);
  const target = join(folder.path, 'target');
  writeFileSync(target, 'target', { mode: 0o600 });
  symlinkSync(target, join(folder.path, lockFileName(OWN)));
  (await acquireLock(folder, OWN, WAIT))?.();
  t.equal(readFileSync(target, 'utf8'), 'target');
  t.equal(lstatSync(join(folder.path, lockFileName(OWN))).isFile(), true);
});

interface ExpectedFile {
  readonly what: string;
  readonly isRemovable: boolean;
  readonly lockKey?: string;
  readonly expires?: true;
}

void t.test('the inventory says of each kind what it is, when it ends, and how it can be removed', async (t) => {
  const folder = makeFolder(t);
  const end = NOW + HOUR;
  writeRecordFile(folder, OWN, RECORD);
  writeTokenMetadata(folder, OWN, METADATA, end);
  writeAliasFile(folder, OWN, { key: OWN, apiVersion: undefined, files: [] }, end);
  rememberOneRefusal(folder, OWN, end - 30_000);
  const note = serializeWithChecksum({ key: OWN, option: 'password', about: 'the password of alice' });
  for (const [name, content] of [
    [savedSecretFileName(OWN), note],
    [`keyring-${OWN}.node`, ''],
    ['handed-out', ''],
    ['warned', ''],
    ['0a.lock', ''],
    ['notes.txt', ''],
  ] as const) {
    writePrivateFile(folder.path, name, content, end);
  }
  const expected: Readonly<Record<string, ExpectedFile>> = {
    [`${OWN}.token`]: { what: 'token', isRemovable: true, lockKey: OWN, expires: true },
    [`${OWN}.about`]: { what: 'token metadata', isRemovable: true, lockKey: OWN, expires: true },
    [`${OWN}.alias`]: { what: 'alias', isRemovable: true, expires: true },
    [`${OWN}.refused`]: { what: 'rejected login', isRemovable: true, expires: true },
    [`${OWN}.kept`]: { what: 'note about a saved secret', isRemovable: false },
    [`keyring-${OWN}.node`]: { what: 'keyring library', isRemovable: true },
    'handed-out': { what: 'tokens handed out to kubectl', isRemovable: true },
    warned: { what: 'kubectl commands that were warned', isRemovable: true, expires: true },
    '0a.lock': { what: 'lock', isRemovable: false },
    'notes.txt': { what: 'not a file of this program', isRemovable: false },
  };
  for (const [name, { what, isRemovable, lockKey, expires }] of Object.entries(expected)) {
    const state = name === 'notes.txt' ? 'foreign' : 'fine';
    const file = inspectFile(folder, name, end);
    t.match(file, { name, what, isRemovable, state }, name);
    t.equal(file?.lockKey, lockKey, name);
    t.equal(file?.endsAt, expires ? end : undefined, name);
    const later = inspectFile(folder, name, end + 1);
    t.equal(later?.state, expires ? 'ended' : state, `${name} a moment later`);
  }
  t.equal(inspectFile(folder, `${OTHER}.token`, end), undefined, 'a file that has just been removed');
});

void t.test('the inventory finds content that no run would accept', async (t) => {
  const folder = makeFolder(t);
  for (const suffix of ['token', 'about', 'alias', 'refused', 'kept']) {
    writePrivateFile(folder.path, `${OWN}.${suffix}`, 'damaged', NOW + HOUR);
    t.equal(inspectFile(folder, `${OWN}.${suffix}`, NOW)?.state, 'broken', suffix);
  }
  const temporary = `.${OWN}.token.x1`;
  writePrivateFile(folder.path, temporary, '', 1_000);
  const { ctimeMs } = statSync(join(folder.path, temporary));
  t.equal(inspectFile(folder, temporary, ctimeMs + 59_000)?.state, 'fine', 'it may still be written');
  t.match(inspectFile(folder, temporary, ctimeMs + 61_000), { state: 'ended', what: 'leftover of an interrupted run' });
});

function forget(folder: CacheFolder, request: Partial<ForgetRequest> = {}): ReturnType<typeof forgetIdentity> {
  const host = fakeHost({ uid });
  return forgetIdentity({
    ...{ folder, host, key: OWN, storages: ['file'], maxWaitMs: 0, onLongWait: () => undefined },
    ...request,
  });
}

void t.test('what cannot be forgotten is reported, and the token stays in the list', async (t) => {
  const folder = makeFolder(t);
  writeTokenMetadata(folder, OWN, { ...METADATA, storage: 'keyring' }, NOW + HOUR);
  writeRecordFile(folder, OWN, RECORD);
  const helper = join(t.testdirName, 'helper');
  writeFileSync(helper, '#!/bin/sh\nexit 1\n');
  chmodSync(helper, 0o700);
  const host = fakeHost({ uid, execPath: helper, platform: 'darwin' });
  const { records, failures, isLoginPending } = await forget(folder, { host, storages: ['keyring', 'none', 'file'] });
  t.match(failures, [{ code: 'cache', message: 'the keyring cannot be used' }]);
  t.equal(failures.length, 1);
  t.strictSame(records, [RECORD], 'the other stores are still asked');
  t.equal(isLoginPending, false);
  t.strictSame(list(folder), [metadataFileName(OWN)]);
});

void t.test('without a lock, as on a full disk, a token is forgotten anyway', async (t) => {
  const folder = makeFolder(t);
  writeTokenMetadata(folder, OWN, METADATA, NOW + HOUR);
  writeRecordFile(folder, OWN, RECORD);
  mkdirSync(join(folder.path, lockFileName(OWN)));
  const { records, failures, isLoginPending, lockFailure } = await forget(folder);
  t.match(lockFailure, { code: 'cache', message: /lock/ });
  t.strictSame([records, failures, isLoginPending], [[RECORD], [], false], 'its record is there for the revocation');
  t.strictSame(list(folder), []);
  t.equal((await forget(makeFolder(t))).lockFailure, undefined);
});

void t.test('the refusals of incomplete settings are forgotten too, and only their aliases need a lock', async (t) => {
  const folder = makeFolder(t);
  for (const key of [OWN, PARTIAL, OTHER]) rememberOneRefusal(folder, key, NOW);
  const version = 'client.authentication.k8s.io/v1' as const;
  const run = keyOf('d');
  writeAliasFile(folder, run, { key: OWN, apiVersion: version, files: [] }, NOW + HOUR);
  const files = [{ path: '/x', stamp: 's' }];
  writeAliasFile(folder, keyOf('e'), { key: OWN, apiVersion: undefined, files }, NOW + HOUR);
  writePrivateFile(folder.path, `${keyOf('f')}.alias`, 'damaged', NOW + HOUR);
  writePrivateFile(folder.path, 'notes.txt', '', NOW + HOUR);
  const locks = await acquireLocks(folder, [run, keyOf('e')], WAIT);
  t.match(await forget(folder, { partialKey: PARTIAL }), { isLoginPending: false, failures: [] });
  locks.release();
  t.strictSame(list(folder).toSorted(), [refusalFileName(OTHER), `${keyOf('f')}.alias`, 'notes.txt'].toSorted());
});

void t.test('token metadata needs all its members, and keeps how Keystone was trusted', async (t) => {
  const folder = makeFolder(t);
  const trust = { insecure: false, ca: '/ca', cert: '/cert', key: '/key', digest: 'd' };
  writeTokenMetadata(folder, OWN, { ...METADATA, trust }, NOW + HOUR);
  t.strictSame(readTokenMetadata(folder, OWN)?.trust, trust);
  const { user, scope, method, storage, expiresAt } = METADATA;
  const complete = { key: OWN, user, scope, method, storage, expiresAt };
  for (const name of Object.keys(complete)) {
    const content = serializeWithChecksum({ ...complete, [name]: undefined });
    writePrivateFile(folder.path, metadataFileName(OWN), content, NOW + HOUR);
    t.equal(readTokenMetadata(folder, OWN), undefined, `without ${name}`);
  }
});

void t.test('a note about a saved secret needs all its members and its own name, and does not expire', async (t) => {
  const folder = makeFolder(t);
  const complete = { key: OWN, option: 'password', about: 'the password of alice' };
  const write = (content: object): void =>
    writePrivateFile(folder.path, savedSecretFileName(OWN), serializeWithChecksum(content), NOW);
  for (const name of Object.keys(complete)) {
    write({ ...complete, [name]: undefined });
    t.equal(readSavedSecretNote(folder, OWN), undefined, `without ${name}`);
  }
  write({ ...complete, key: OTHER });
  t.equal(readSavedSecretNote(folder, OWN), undefined);
  write(complete);
  t.match(readSavedSecretNote(folder, OWN), { option: 'password', isDisabled: false });
  writePrivateFile(folder.path, savedSecretFileName(OTHER), 'damaged', NOW);
  writeAliasFile(folder, PARTIAL, { key: OWN, apiVersion: undefined, files: [] }, NOW);
  const host = fakeHost({ uid, env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder.path } });
  t.strictSame(listSavedSecrets(host), [{ key: OWN, option: 'password', description: 'the password of alice' }]);
});

void t.test('a secret is not saved without a folder, or by a keyring that does not store it', async (t) => {
  const identity = { key: OWN, option: 'password', description: 'the password of alice' };
  const homeless = fakeHost({ home: () => undefined });
  t.strictSame(listSavedSecrets(homeless), []);
  await t.rejects(saveSecret(homeless, identity, new Secret('pw')), { code: 'cache', message: /no home folder/ });
  const folder = makeFolder(t);
  const helper = join(t.testdirName, 'helper');
  // It answers each request with an empty secret.
  writeFileSync(helper, '#!/bin/sh\ncat > /dev/null\necho \'""\'\n');
  chmodSync(helper, 0o700);
  const env = { CLIENT_KEYSTONE_AUTH_CACHE_DIR: folder.path };
  const host = fakeHost({ uid, env, execPath: helper, platform: 'darwin', now: () => NOW });
  const failure = { code: 'cache', message: 'the keyring did not store the secret' };
  await t.rejects(saveSecret(host, identity, new Secret('pw')), failure);
  t.strictSame(list(folder), []);
});

void t.test('empty settings of the cache folder count as unset', async (t) => {
  const withLineEnd = fakeHost({ env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: '/v\r' } });
  t.equal(resolveCacheFolder(withLineEnd)?.path, '/v', 'a file with Windows line ends');
  const env = { CLIENT_KEYSTONE_AUTH_CACHE_DIR: '', XDG_CACHE_HOME: '/c' };
  t.equal(resolveCacheFolder(fakeHost({ env, argv: ['--cache-dir='] }))?.path, '/c/client-keystone-auth');
  t.equal(
    resolveCacheFolder(fakeHost({ env: { ...env, CLIENT_KEYSTONE_AUTH_CACHE_DIR: 'v' }, argv: ['--cache-dir='] }))
      ?.path,
    '/work/v',
  );
  const windows = { platform: 'win32', env: { LOCALAPPDATA: '/local' } } as const;
  t.equal(resolveCacheFolder(fakeHost(windows))?.path, '/local/client-keystone-auth');
  t.strictSame(findCacheFolders(fakeHost({ home: () => undefined })), []);
});

const skipTrace = skipWithout('strace', () => canRun('strace', '-V'));

void t.test('only a record with a refresh token waits for the disk', { skip: skipTrace }, async (t) => {
  const folder = makeFolder(t);
  const countWaits = (record: TokenRecord): number => {
    const trace = join(t.testdirName, 'trace');
    const store = JSON.stringify(resolve('src/plugin/cache/file-store.ts'));
    const values = [folder, OWN, record].map((value) => JSON.stringify(value)).join(', ');
    const script = `import(${store}).then(({ writeRecordFile }) => writeRecordFile(${values}));`;
    const command = ['-f', '-e', 'trace=fsync,fdatasync', '-o', trace, process.execPath, '-e', script];
    execFileSync('strace', command, { stdio: ['ignore', 'ignore', 'inherit'] });
    t.same(readRecordFile(folder, OWN), record);
    return readFileSync(trace, 'utf8').match(/\bf(?:data)?sync\(/g)?.length ?? 0;
  };
  t.equal(countWaits(RECORD), 0, 'any other token is only a login away');
  t.equal(countWaits({ ...RECORD, refresh: 'gAAAA-refresh' }), 1);
});
