/** How `status`, `cache list` and `cache clean` treat a cache folder with files of every kind and planted files. */
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { metadataFileName } from '../../src/plugin/cache/file-names.ts';
import { readTokenMetadata, writeTokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import type { TokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import { ensureCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { findCacheFolders } from '../../src/plugin/cache/fallback-folders.ts';
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { writeAliasFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import { forgetIdentity } from '../../src/plugin/cache/forget-identity.ts';
import { listCachedIdentities } from '../../src/plugin/cache/cached-identities.ts';
import { listCachedFiles } from '../../src/plugin/cache/inventory.ts';
import { acquireLock, acquireLocks } from '../../src/plugin/cache/login-lock.ts';
import { prune } from '../../src/plugin/cache/prune.ts';
import { runCli } from '../../src/plugin/cli/cli.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';
import { rememberOneRefusal } from '../support/remember-refusal.ts';

const uid = process.geteuid?.();
const HOUR = 3_600_000;
const endpoint = 'https://keystone.test/v3';
const TOKEN = 'gAAAA-canary-token';

const keyOf = (digit: string): string => digit.repeat(64);

const aliceUntil = (expiresAt: number): TokenMetadata => ({
  user: 'alice',
  domain: 'Default',
  scope: 'project demo (Default)',
  method: 'password',
  keystone: endpoint,
  isExistingToken: false,
  trust: { insecure: false, ca: '/etc/ca.pem', cert: undefined, key: undefined, digest: 'd' },
  expiresAt,
  isRenewable: false,
  storage: 'file',
});

interface CacheFixture {
  readonly folder: CacheFolder;
  readonly now: number;
  /** Runs a command; its output and exit status. */
  readonly run: (...argv: string[]) => Promise<{ stdout: string; stderr: string; status: number }>;
}

function setUpCache(path: string): CacheFixture {
  const folder = { path: join(path, 'cache'), uid };
  ensureCacheFolder(folder);
  const now = Date.now();
  return {
    folder,
    now,
    async run(...argv) {
      const result = { stdout: '', stderr: '', status: -1 };
      const host: Host = fakeHost({
        uid,
        argv: [...argv, `--cache-dir=${folder.path}`],
        now: () => now,
        nodeVersion: process.versions.node,
        writeOut: (text) => {
          result.stdout += text;
          return undefined;
        },
        writeErr: (text) => {
          result.stderr += text;
        },
        setExitStatus: (status) => {
          result.status = status;
        },
      });
      await runCli(host);
      return result;
    },
  };
}

function storeToken({ folder, now }: CacheFixture, key: string, lifetimeMs: number): void {
  const expiresAt = now + lifetimeMs;
  writeRecordFile(folder, key, { token: TOKEN, receivedAt: now - HOUR, expiresAt, endpoint });
  writeTokenMetadata(folder, key, aliceUntil(expiresAt), expiresAt);
}

void t.test('token metadata is read unchanged or rejected', async (t) => {
  const { folder, now } = setUpCache(t.testdir());
  const metadata = aliceUntil(now + HOUR);
  writeTokenMetadata(folder, keyOf('a'), metadata, now + HOUR);
  t.same(readTokenMetadata(folder, keyOf('a')), metadata);
  const more = {
    ...metadata,
    isExistingToken: true,
    isRenewable: true,
    keystone: undefined,
    domain: undefined,
    storage: 'keyring',
  };
  writeTokenMetadata(folder, keyOf('b'), { ...more, trust: { insecure: true, digest: 'e' } }, now + HOUR);
  t.match(readTokenMetadata(folder, keyOf('b')), { ...more, trust: { insecure: true, digest: 'e' } });
  writeTokenMetadata(folder, keyOf('c'), { ...metadata, user: 'u'.repeat(100_000) }, now + HOUR);
  t.equal(readTokenMetadata(folder, keyOf('c'))?.user.length, 300, 'a long name is cut');

  const file = join(folder.path, metadataFileName(keyOf('a')));
  t.equal(lstatSync(file).mode & 0o777, 0o600);
  const original = readFileSync(file);
  for (let at = 0; at < original.length; at += 7) {
    const flipped = Buffer.from(original);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    writeFileSync(file, flipped);
    t.equal(readTokenMetadata(folder, keyOf('a')), undefined, `a flipped bit at ${String(at)}`);
  }
  writeFileSync(join(folder.path, metadataFileName(keyOf('d'))), original, { mode: 0o600 });
  t.equal(readTokenMetadata(folder, keyOf('d')), undefined, 'under another name');
});

void t.test('the list of cached tokens covers files and the keyring, without expired tokens', async (t) => {
  const cache = setUpCache(t.testdir());
  const { folder, now } = cache;
  storeToken(cache, keyOf('a'), 2 * HOUR);
  storeToken(cache, keyOf('b'), -HOUR);
  writeRecordFile(folder, keyOf('c'), { token: TOKEN, receivedAt: now, expiresAt: now - 1, endpoint, refresh: 'r' });
  writeTokenMetadata(folder, keyOf('d'), { ...aliceUntil(now + HOUR), storage: 'keyring' }, now + HOUR);
  writeTokenMetadata(folder, keyOf('e'), { ...aliceUntil(now - HOUR), storage: 'keyring' }, now - HOUR);
  writeTokenMetadata(folder, keyOf('f'), aliceUntil(now + HOUR), now + HOUR);
  t.match(listCachedIdentities(folder, now), [
    { key: keyOf('c'), storage: 'file', isRenewable: true, metadata: undefined, keystone: endpoint },
    { key: keyOf('d'), storage: 'keyring', isRenewable: false, metadata: { user: 'alice' } },
    { key: keyOf('a'), storage: 'file', isRenewable: false, metadata: { user: 'alice' } },
  ]);
  t.equal(listCachedIdentities(folder, now).length, 3);
});

void t.test('pruning removes the metadata with its token', async (t) => {
  const cache = setUpCache(t.testdir());
  storeToken(cache, keyOf('a'), HOUR);
  storeToken(cache, keyOf('b'), -HOUR);
  prune(cache.folder, cache.now);
  t.same(readdirSync(cache.folder.path), [`${keyOf('a')}.about`, `${keyOf('a')}.token`]);
});

void t.test('metadata files never displace a token', async (t) => {
  const cache = setUpCache(t.testdir());
  const { folder, now } = cache;
  for (let index = 0; index < 300; index += 1) {
    const key = index.toString(16).padStart(64, '0');
    writeTokenMetadata(folder, key, aliceUntil(now + 2 * HOUR + index * 1000), now + 2 * HOUR + index * 1000);
  }
  storeToken(cache, keyOf('a'), HOUR);
  prune(folder, now);
  const names = readdirSync(folder.path);
  t.ok(names.includes(`${keyOf('a')}.token`));
  t.equal(names.filter((name) => name.endsWith('.about')).length, 256);
});

void t.test('forgetting waits for a login in progress, and keeps the tokens of others', async (t) => {
  const cache = setUpCache(t.testdir());
  const { folder, now } = cache;
  const [own, other, partial, run] = [keyOf('a'), keyOf('b'), keyOf('c'), keyOf('d')];
  for (const key of [own, other]) {
    storeToken(cache, key, HOUR);
    rememberOneRefusal(folder, key, now);
  }
  writeAliasFile(folder, partial, { key: own, apiVersion: undefined, files: [] }, now + HOUR);
  writeAliasFile(folder, run, { key: own, apiVersion: 'v1' as never, files: [{ path: '/x', stamp: 's' }] }, now + HOUR);
  writeAliasFile(folder, keyOf('e'), { key: other, apiVersion: undefined, files: [] }, now + HOUR);
  const waitOptions = { maxWaitMs: 0, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };
  const release = await acquireLock(folder, partial, waitOptions);
  t.type(release, 'function');
  let hasWaited = false;
  const onLongWait = (): void => {
    hasWaited = true;
    release?.();
  };
  const host = fakeHost({ uid });
  const request = { folder, host, key: own, storages: ['file'], maxWaitMs: 300_000, onLongWait };
  const { records, metadata, failures, isLoginPending } = await forgetIdentity(request);
  t.ok(hasWaited, 'a login for incomplete settings holds another lock');
  t.match(records, [{ token: TOKEN }]);
  t.match(metadata, { user: 'alice' });
  t.same([failures, isLoginPending], [[], false]);
  t.same(
    readdirSync(folder.path).filter((name) => !name.endsWith('.lock')),
    [`${other}.about`, `${other}.refused`, `${other}.token`, `${keyOf('e')}.alias`],
  );
  t.match(
    await forgetIdentity(request),
    { records: [], metadata: undefined, failures: [] },
    'forgetting twice is not an error',
  );

  const locks = await acquireLocks(folder, [other], waitOptions);
  t.match(await forgetIdentity({ ...request, key: other, maxWaitMs: 50 }), { isLoginPending: true, records: [{}] });
  locks.release();
});

const PLANTED = { token: 'planted.token', notes: 'notes.txt' };

function plant(cache: CacheFixture, path: string): void {
  const { folder, now } = cache;
  storeToken(cache, keyOf('a'), HOUR);
  storeToken(cache, keyOf('b'), -HOUR);
  writeAliasFile(folder, keyOf('a'), { key: keyOf('a'), apiVersion: undefined, files: [] }, now + HOUR);
  rememberOneRefusal(folder, keyOf('c'), now);
  const put = (name: string, content = '', mode = 0o600): void => {
    writeFileSync(join(folder.path, name), content, { mode });
    chmodSync(join(folder.path, name), mode);
  };
  put(`${keyOf('d')}.token`, 'broken');
  put(`${keyOf('e')}.alias`, 'broken');
  put(`${keyOf('f')}.refused`, 'open', 0o644);
  put('00.lock');
  put('handed-out');
  put(PLANTED.notes, 'mine');
  put(PLANTED.token, 'not a name of the plugin');
  put(`.${keyOf('1')}.token.abc`, 'left');
  writeFileSync(join(path, 'canary'), 'canary', { mode: 0o600 });
  symlinkSync(join(path, 'canary'), join(folder.path, `${keyOf('2')}.token`));
  linkSync(join(path, 'canary'), join(folder.path, `${keyOf('3')}.token`));
  mkdirSync(join(folder.path, `${keyOf('4')}.token`));
}

void t.test('every file of the folder is listed with its state', async (t) => {
  const path = t.testdir();
  const cache = setUpCache(path);
  plant(cache, path);
  const states = Object.fromEntries(listCachedFiles(cache.folder, cache.now).map(({ name, state }) => [name, state]));
  t.same(states, {
    [`${keyOf('a')}.token`]: 'fine',
    [`${keyOf('a')}.about`]: 'fine',
    [`${keyOf('a')}.alias`]: 'fine',
    [`${keyOf('b')}.token`]: 'ended',
    [`${keyOf('b')}.about`]: 'ended',
    [`${keyOf('c')}.refused`]: 'fine',
    [`${keyOf('d')}.token`]: 'broken',
    [`${keyOf('e')}.alias`]: 'broken',
    [`${keyOf('f')}.refused`]: 'broken',
    '00.lock': 'fine',
    'handed-out': 'fine',
    [PLANTED.notes]: 'foreign',
    [PLANTED.token]: 'foreign',
    [`.${keyOf('1')}.token.abc`]: 'fine',
    [`${keyOf('2')}.token`]: 'refused',
    [`${keyOf('3')}.token`]: 'broken',
    [`${keyOf('4')}.token`]: 'refused',
  });
  const { stdout, status } = await cache.run('cache', 'list', '-o', 'json');
  t.equal(status, 0);
  const { folder, files } = JSON.parse(stdout) as { folder: string; files: { name: string; endsAt: string | null }[] };
  t.equal(folder, cache.folder.path);
  t.same(files.map(({ name }) => name).toSorted(), Object.keys(states).toSorted());
  t.match(
    files.find(({ name }) => name === `${keyOf('a')}.token`),
    {
      what: 'token',
      bytes: Number,
      state: 'fine',
      writtenAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
      endsAt: new Date(cache.now + HOUR).toISOString().replace(/\.\d+Z$/, 'Z'),
    },
  );
  const text = await cache.run('cache', 'list');
  t.match(text.stdout, /\nFILE +WHAT +BYTES +AGE +LEFT +STATE\n/);
  t.match(text.stdout, /\naaaaaaaaaaaa….token +token +\d+ +1 s +(?:59 min 59 s|1 h) +fine\n/);
  t.notOk(`${stdout}${text.stdout}`.includes(TOKEN));
});

void t.test(
  'cleaning removes expired and broken files, with --all also valid files, but never files of others',
  async (t) => {
    const path = t.testdir();
    const cache = setUpCache(path);
    plant(cache, path);
    const listNames = (): string[] =>
      readdirSync(cache.folder.path)
        .filter((name) => !name.endsWith('.lock'))
        .toSorted();
    const untouched = [PLANTED.notes, PLANTED.token, `${keyOf('2')}.token`, `${keyOf('4')}.token`];
    const fine = ['token', 'about', 'alias'].map((suffix) => `${keyOf('a')}.${suffix}`);
    const rest = [`${keyOf('c')}.refused`, 'handed-out', `.${keyOf('1')}.token.abc`];

    const first = await cache.run('cache', 'clean');
    t.equal(first.status, 1, 'planted links are reported');
    t.match(
      first.stdout,
      /^6 files removed \(\d+ bytes\)\.\n(?:Not removed: [24]+\.token: the file does not belong to you\.\n){2}$/,
    );
    t.same(listNames(), [...untouched, ...fine, ...rest].toSorted());

    const all = await cache.run('cache', 'clean', '--all', '-o', 'json');
    t.match(JSON.parse(all.stdout), { revoked: false, keyringEntries: 0, left: { length: 2 }, removed: { length: 6 } });
    t.same(listNames(), untouched.toSorted());
    t.ok(readdirSync(cache.folder.path).includes('00.lock'), 'lock files stay');
    t.equal(readFileSync(join(path, 'canary'), 'utf8'), 'canary', 'no link is followed');

    storeToken(cache, keyOf('a'), HOUR);
    t.match(
      (await cache.run('cache', 'clean', '--all')).stdout,
      /No token was revoked: each is valid until it expires\./,
    );
  },
);

void t.test('an unsafe folder is an error; a missing folder is empty', async (t) => {
  const path = t.testdir();
  const cache = setUpCache(path);
  plant(cache, path);
  chmodSync(cache.folder.path, 0o755);
  for (const command of ['list', 'clean']) {
    const { status, stdout, stderr } = await cache.run('cache', command);
    t.same([status, stdout], [1, '']);
    t.match(stderr, /is open to other users/);
  }
  t.strictSame(findCacheFolders(fakeHost({ uid, argv: ['--cache-dir', join(path, 'nowhere')] })), []);
});
