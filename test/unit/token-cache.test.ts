import {
  chmodSync,
  fstatSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkCacheFolder, ensureCacheFolder, resolveCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { isFileUnchanged, stampFile } from '../../src/shared/base/file-stamp.ts';
import { readPrivateFile, withPrivateFile, writePrivateFile } from '../../src/plugin/cache/private-file.ts';
import { isFresh, parseAlias, parseRecord, serializeAlias } from '../../src/plugin/cache/token-record.ts';
import { serializeRecord } from '../../src/plugin/cache/token-record.ts';
import { writeAliasFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import { markConfirmed, markHandedOut } from '../../src/plugin/cache/handed-out-tokens.ts';
import { prune } from '../../src/plugin/cache/prune.ts';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';

const uid = process.geteuid?.();
const NOW = 1_790_000_000_000;
const endpoint = 'https://keystone.test/v3';
const record = { token: 'gAAAA-token', receivedAt: NOW, expiresAt: NOW + 3_600_000, endpoint };

/** A folder of the user who runs the test. */
const folderAt = (path: string): CacheFolder => ({ path, uid });

const hostIn = (folder: string, parts: Partial<Host> = {}): Host =>
  fakeHost({ uid, env: { XDG_CACHE_HOME: folder }, now: () => NOW, ...parts });

void t.test('the cache folder is below the cache directory of the platform', async (t) => {
  const pathOf = (parts?: Partial<Host>): string | undefined => resolveCacheFolder(fakeHost(parts))?.path;
  t.equal(pathOf(), '/home/alice/.cache/client-keystone-auth');
  t.equal(pathOf({ env: { XDG_CACHE_HOME: '/c' } }), '/c/client-keystone-auth');
  t.equal(pathOf({ env: { XDG_CACHE_HOME: 'relative' } }), '/home/alice/.cache/client-keystone-auth');
  t.equal(resolveCacheFolder(fakeHost({ home: () => undefined })), undefined, 'without a home there is no cache');
  t.equal(pathOf({ platform: 'darwin' }), '/home/alice/Library/Caches/client-keystone-auth');
  t.equal(resolveCacheFolder(fakeHost({ platform: 'win32', env: {} })), undefined);
});

void t.test('a written file is private with every umask, and complete', async (t) => {
  for (const mask of [0o000, 0o022, 0o077]) {
    const folder = join(t.testdir(), `cache-${mask.toString(8)}`, 'deeper');
    const previousMask = process.umask(mask);
    try {
      ensureCacheFolder(folderAt(folder));
      writePrivateFile(folder, 'name', 'text', NOW);
    } finally {
      process.umask(previousMask);
    }
    t.equal(statSync(folder).mode & 0o777, 0o700);
    t.equal(statSync(join(folder, 'name')).mode & 0o777, 0o600);
    t.equal(statSync(join(folder, 'name')).mtimeMs, NOW, 'the modification time is the time of expiry');
    t.same(readdirSync(folder), ['name'], 'no temporary file is left');
    t.equal(readPrivateFile(join(folder, 'name'), uid), 'text');
  }
});

void t.test('an open folder stays as it is and is not used', async (t) => {
  for (const mode of [0o755, 0o1777, 0o711, 0o770]) {
    const folder = t.testdir({ 'mine.token': 'mine' });
    chmodSync(folder, mode);
    const refusal = { code: 'cache', message: `${folder} is open to other users`, hint: /^run "chmod 700 / };
    t.throws(() => checkCacheFolder(folderAt(folder)), refusal);
    t.throws(() => ensureCacheFolder(folderAt(folder)), refusal);
    t.equal(statSync(folder).mode & 0o7777, mode);
    t.same(readdirSync(folder), ['mine.token']);
  }
});

void t.test('an open file is not read, and is replaced', async (t) => {
  const folder = t.testdir({ name: 'planted' });
  chmodSync(folder, 0o700);
  chmodSync(join(folder, 'name'), 0o644);
  t.equal(readPrivateFile(join(folder, 'name'), uid), undefined);
  withPrivateFile(join(folder, 'name'), uid, (fd) => t.equal(fstatSync(fd).size, 0, 'an open file is replaced'));
  t.throws(() => withPrivateFile(folder, uid, () => undefined), { code: 'cache' }, 'a folder is not');
  writePrivateFile(folder, 'name', 'text', NOW);
  t.equal(readPrivateFile(join(folder, 'name'), uid), 'text');
});

void t.test('a folder in an unsafe place is not created', async (t) => {
  const base = t.testdir({ open: {}, real: {} });
  chmodSync(join(base, 'open'), 0o777);
  symlinkSync(join(base, 'open'), join(base, 'link'));
  symlinkSync('loop', join(base, 'loop'));
  for (const [name, reason] of [
    ['open', /open can be written by other users/],
    ['link', /open can be written by other users/],
    ['loop', /loop is a link to itself/],
  ] as const) {
    const folder = folderAt(join(base, name, 'below', 'tokens'));
    t.throws(() => ensureCacheFolder(folder), { code: 'cache', message: reason, hint: /--cache-dir/ });
  }
  t.same(readdirSync(join(base, 'open')), []);
  symlinkSync('./link-base/../real', join(base, 'up'));
  symlinkSync('real', join(base, 'link-base'));
  ensureCacheFolder(folderAt(join(base, 'up', 'tokens')));
  t.same(readdirSync(join(base, 'real')), ['tokens'], 'links of the user are followed');
});

void t.test('links, folders and large files are not read', async (t) => {
  const folder = t.testdir({ canary: 'canary' });
  chmodSync(join(folder, 'canary'), 0o600);
  symlinkSync(join(folder, 'canary'), join(folder, 'link'));
  t.equal(readPrivateFile(join(folder, 'link'), uid), undefined, 'symbolic link');
  linkSync(join(folder, 'canary'), join(folder, 'second'));
  t.equal(readPrivateFile(join(folder, 'second'), uid), undefined, 'second name');
  mkdirSync(join(folder, 'folder'));
  t.equal(readPrivateFile(join(folder, 'folder'), uid), undefined, 'folder');
  t.equal(readPrivateFile(join(folder, 'absent'), uid), undefined, 'absent');
  writePrivateFile(folder, 'link', 'text', NOW);
  t.equal(readFileSync(join(folder, 'canary'), 'utf8'), 'canary', 'the target of a planted link is unchanged');
  writeFileSync(join(folder, 'huge'), 'x'.repeat(70_000), { mode: 0o600 });
  t.equal(readPrivateFile(join(folder, 'huge'), uid), undefined, 'too large');
});

void t.test('a folder that cannot be created or used causes a CacheError', async (t) => {
  const folder = t.testdir({ file: '' });
  t.throws(() => ensureCacheFolder(folderAt(join(folder, 'file'))), { code: 'cache' });
  t.throws(() => ensureCacheFolder(folderAt(join(folder, 'file', 'below'))), { code: 'cache' });
  t.throws(() => ensureCacheFolder({ path: join(folder, 'other'), uid: (uid ?? 0) + 1 }), { code: 'cache' });
  t.throws(() => writePrivateFile(join(folder, 'absent'), 'name', 'text', NOW), { code: 'cache' });
});

void t.test('other users must not be able to write above the folder', async (t) => {
  const base = t.testdir({ open: { '.cache': {} } });
  const folder = folderAt(join(base, 'open', '.cache', 'tokens'));
  ensureCacheFolder(folder);
  chmodSync(join(base, 'open'), 0o777);
  t.throws(() => checkCacheFolder(folder), { code: 'cache', message: /open can be written by other users/ });
  chmodSync(join(base, 'open'), 0o1777);
  t.doesNotThrow(() => checkCacheFolder(folder), 'a sticky bit protects the entries');
  chmodSync(join(base, 'open'), 0o700);
  chmodSync(join(base, 'open', '.cache'), 0o775);
  t.doesNotThrow(() => checkCacheFolder(folder), 'the folder above keeps other users out');
  chmodSync(join(base, 'open'), 0o755);
  t.throws(() => checkCacheFolder(folder), { message: /\.cache can be written by other users/ });
  symlinkSync(join(base, 'open', '.cache'), join(base, 'link'));
  t.throws(() => checkCacheFolder(folderAt(join(base, 'link', 'tokens'))), { code: 'cache' }, 'below a link too');
});

void t.test('a record is read only if it is complete and under its own key', async (t) => {
  const text = serializeRecord('k1', record);
  t.same(parseRecord('k1', text), record);
  t.equal(parseRecord('k2', text), undefined);
  let accepted = 0;
  for (let index = 0; index < text.length; index += 1) {
    for (const flip of [1, 2, 0x20]) {
      const broken = text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ flip) + text.slice(index + 1);
      if (parseRecord('k1', broken) !== undefined) accepted += 1;
    }
    if (parseRecord('k1', text.slice(0, index)) !== undefined) accepted += 1;
  }
  t.equal(accepted, 0);
  t.equal(parseRecord('k1', ''), undefined);
  t.equal(parseAlias('k1', text), undefined, 'a record is not an alias');
});

void t.test('an alias is read only under its own name', async (t) => {
  const alias = { key: 'k', apiVersion: undefined, files: [{ path: '/ca.pem', stamp: '1 2 3' }] };
  t.same(parseAlias('f', serializeAlias('f', alias)), alias);
  t.equal(parseAlias('g', serializeAlias('f', alias)), undefined);
  const versioned = { ...alias, apiVersion: 'client.authentication.k8s.io/v1beta1' as const, files: [] };
  t.same(parseAlias('f', serializeAlias('f', versioned)), versioned);
});

void t.test('a token is fresh until shortly before it expires', async (t) => {
  const isFreshAt = (lifetime: number, age: number): boolean =>
    isFresh({ ...record, expiresAt: NOW + lifetime }, NOW + age);
  t.ok(isFreshAt(3_600_000, 0));
  t.ok(isFreshAt(3_600_000, 3_600_000 - 120_001));
  t.notOk(isFreshAt(3_600_000, 3_600_000 - 120_000), 'the last two minutes are not used');
  t.ok(isFreshAt(60_000, 29_999), 'half of a short lifetime is used');
  t.notOk(isFreshAt(60_000, 30_000));
  t.notOk(isFreshAt(0, 0));
  t.notOk(isFreshAt(-1_000, 0));
  t.notOk(isFreshAt(3_600_000, -120_000), 'received in the future: the clock was set back');
});

void t.test('a stamp changes with its file', async (t) => {
  const folder = t.testdir({ file: 'one' });
  const path = join(folder, 'file');
  const stamp = stampFile(path);
  t.ok(isFileUnchanged(stamp));
  utimesSync(path, 1, 1);
  t.notOk(isFileUnchanged(stamp));
  const absent = stampFile(join(folder, 'absent'));
  t.ok(isFileUnchanged(absent));
  writeFileSync(join(folder, 'absent'), '');
  t.notOk(isFileUnchanged(absent), 'a new file changes the stamp too');
});

void t.test('the fast path finds a token only if everything is unchanged', async (t) => {
  const base = t.testdir({ 'ca.pem': 'x' });
  const host = hostIn(base);
  const folder = resolveCacheFolder(host);
  if (folder === undefined) throw new Error('the host has no cache folder');
  const ca = stampFile(join(base, 'ca.pem'));
  t.equal(findCachedCredential(host), undefined, 'an empty cache is a miss');
  const writeAlias = (cluster: string, parts: Partial<Host> = {}): void => {
    const alias = { key: 'k', apiVersion: undefined, files: [ca] };
    const fingerprint = computeFingerprint(hostIn(base, parts), cluster) ?? '';
    writeAliasFile(folder, fingerprint, alias, record.expiresAt);
  };
  ensureCacheFolder(folder);
  writeRecordFile(folder, 'k', record);
  writeAlias('');
  t.match(findCachedCredential(host), /"apiVersion":"client.authentication.k8s.io\/v1".*gAAAA-token/);
  t.equal(findCachedCredential(hostIn(base, { argv: ['--force-refresh'] })), undefined);
  t.equal(findCachedCredential(hostIn(base, { now: () => record.expiresAt })), undefined, 'expired');
  const runByKubectl = (apiVersion: string, parts: Partial<Host> = {}): Host => {
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: {} });
    return hostIn(base, { env: { XDG_CACHE_HOME: base, KUBERNETES_EXEC_INFO: info }, ...parts });
  };
  t.match(
    findCachedCredential(runByKubectl('client.authentication.k8s.io/v1beta1')),
    /v1beta1/,
    'the result has the requested version',
  );
  t.equal(
    findCachedCredential(runByKubectl('client.authentication.k8s.io/v1alpha1')),
    undefined,
    'the slow path reports the error',
  );

  const identity = (id: string) => ({ id, memoryLayout: undefined, parentPid: 1 });
  const runByParent = (id: string): Host =>
    runByKubectl('client.authentication.k8s.io/v1', { identifyParent: () => identity(id) });
  t.ok(findCachedCredential(runByParent('10 1')), 'a kubectl process');
  t.equal(findCachedCredential(runByParent('10 1')), undefined, 'the same process again: the slow path asks Keystone');
  t.ok(findCachedCredential(runByParent('11 1')), 'another kubectl process');
  t.ok(findCachedCredential(runByParent('10 2')), 'another kubectl process with the same pid');
  t.ok(findCachedCredential(hostIn(base, { identifyParent: () => identity('12 1') })), 'a shell');
  t.ok(
    findCachedCredential(hostIn(base, { identifyParent: () => identity('12 1') })),
    'a shell gets the token every time',
  );

  chmodSync(folder.path, 0o755);
  t.equal(findCachedCredential(host), undefined, 'an open folder is not trusted');
  chmodSync(folder.path, 0o700);
  t.ok(findCachedCredential(host));
  utimesSync(ca.path, 1, 1);
  t.equal(findCachedCredential(host), undefined, 'a changed file is a miss');
  t.equal(findCachedCredential(fakeHost({ home: () => undefined })), undefined, 'without a cache folder');
});

void t.test('handed-out tokens are recorded for each parent', async (t) => {
  const folder = folderAt(t.testdir());
  const recipient = (parent: string, now = NOW) => ({ folder, parent, now });
  t.equal(markHandedOut(recipient('1 1'), 'a'), 'nothing');
  t.equal(markHandedOut(recipient('1 1'), 'a'), 'token');
  t.equal(markHandedOut(recipient('2 1'), 'a'), 'nothing');
  markConfirmed(recipient('1 1'), 'a');
  t.equal(markHandedOut(recipient('1 1'), 'a'), 'confirmed');
  t.equal(markHandedOut(recipient('1 1', NOW + 299_000), 'a'), 'confirmed');
  t.equal(markHandedOut(recipient('1 1', NOW + 301_000), 'a'), 'token', 'a long-lived parent may ask again');
  t.equal(markHandedOut(recipient('1 1'), 'b'), 'nothing', 'a new token counts as new');
  for (let parent = 0; parent < 1_000; parent += 1) markHandedOut(recipient(`${parent} 9`), 'a');
  t.ok(statSync(join(folder.path, 'handed-out')).size <= 256 * 47, 'the file does not grow');
});

void t.test('pruning removes expired files, leftovers and surplus files, and nothing else', async (t) => {
  const folder = folderAt(t.testdir());
  const now = Date.now();
  const keyOf = (index: number): string => index.toString(16).padStart(64, '0');
  const create = (name: string, expiresAt = now - 1_000): void => writePrivateFile(folder.path, name, '', expiresAt);
  const others = [
    'old.token',
    'old.alias',
    'old.refused',
    'old.about',
    '.0a.token.x1y2',
    '.deadbeef.swp',
    `${keyOf(1)}.token.bak`,
    `.${keyOf(1)}.other.x1`,
    'other',
  ];
  for (const name of others) create(name);
  for (const suffix of ['token', 'alias', 'refused', 'about']) create(`${keyOf(1)}.${suffix}`);
  create(`${keyOf(2)}.token`, now + 100_000);
  symlinkSync('other', join(folder.path, `${keyOf(3)}.token`));
  mkdirSync(join(folder.path, `${keyOf(4)}.token`));
  writeFileSync(join(folder.path, `.${keyOf(1)}.token.x1y2`), '');
  const kept = [...others, ...[2, 3, 4].map((index) => `${keyOf(index)}.token`)];
  prune(folder, now);
  const withTemporary = [...kept, `.${keyOf(1)}.token.x1y2`].sort();
  t.same(readdirSync(folder.path).sort(), withTemporary, 'a file that is being written stays');
  prune(folder, now + 61_000);
  t.same(
    readdirSync(folder.path).sort(),
    kept.sort(),
    'the leftover of an interrupted write is removed after a minute',
  );
  for (let index = 0; index < 1_000; index += 1) create(`${keyOf(1_000 + index)}.alias`, now + 100_000);
  prune(folder, now);
  t.equal(readdirSync(folder.path).length, kept.length - 1 + 256);
  prune(folderAt(join(folder.path, 'absent')), now);
});
