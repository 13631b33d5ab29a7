/** What `status`, `cache list` and `cache clean` make of a cache's folder: files of every kind, and what was planted there. */
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
import { metadataFileName, readTokenMetadata, writeTokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import type { TokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import { ensureCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { writeAliasFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import type { CacheFolder } from '../../src/plugin/cache/file-store.ts';
import { forgetIdentity, acquireLocks } from '../../src/plugin/cache/forget-identity.ts';
import { findCacheFolder, listCachedIdentities } from '../../src/plugin/cache/cached-identities.ts';
import { listCachedFiles } from '../../src/plugin/cache/inventory.ts';
import { acquireLock } from '../../src/plugin/cache/login-lock.ts';
import { prune } from '../../src/plugin/cache/prune.ts';
import { rememberRefusal } from '../../src/plugin/cache/refusals.ts';
import { runCommand } from '../../src/plugin/commands/run-command.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';

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
  given: false,
  trust: { insecure: false, ca: '/etc/ca.pem', cert: undefined, key: undefined, digest: 'd' },
  expiresAt,
  isRenewable: false,
  storage: 'file',
});

interface CacheFixture {
  readonly folder: CacheFolder;
  readonly now: number;
  /** What a command says, and its status. */
  readonly run: (...argv: string[]) => Promise<{ stdout: string; stderr: string; status: number }>;
}

function setUpCache(path: string): CacheFixture {
  const folder = { path: join(path, 'cache'), uid };
  ensureCacheFolder(folder.path, uid);
  const now = Date.now();
  return {
    folder,
    now,
    async run(...argv) {
      const said = { stdout: '', stderr: '', status: -1 };
      const host: Host = fakeHost({
        uid,
        argv: [...argv, `--cache-dir=${folder.path}`],
        now: () => now,
        nodeVersion: process.versions.node,
        writeOut: (text) => {
          said.stdout += text;
          return undefined;
        },
        writeErr: (text) => {
          said.stderr += text;
        },
        setExitStatus: (status) => {
          said.status = status;
        },
      });
      await runCommand(host);
      return said;
    },
  };
}

function storeToken({ folder, now }: CacheFixture, key: string, livesMs: number): void {
  const expiresAt = now + livesMs;
  writeRecordFile(folder, key, { token: TOKEN, receivedAt: now - HOUR, expiresAt, endpoint });
  writeTokenMetadata(folder, key, aliceUntil(expiresAt), expiresAt);
}

void t.test('what is said of a token comes back as it was written, or not at all', async (t) => {
  const { folder, now } = setUpCache(t.testdir());
  const about = aliceUntil(now + HOUR);
  writeTokenMetadata(folder, keyOf('a'), about, now + HOUR);
  t.same(readTokenMetadata(folder, keyOf('a')), about);
  const more = { ...about, given: true, renewable: true, keystone: undefined, domain: undefined, storage: 'keyring' };
  writeTokenMetadata(folder, keyOf('b'), { ...more, trust: { insecure: true, digest: 'e' } }, now + HOUR);
  t.match(readTokenMetadata(folder, keyOf('b')), { ...more, trust: { insecure: true, digest: 'e' } });
  writeTokenMetadata(folder, keyOf('c'), { ...about, user: 'u'.repeat(100_000) }, now + HOUR);
  t.equal(readTokenMetadata(folder, keyOf('c'))?.user.length, 300, 'a name of any length');

  const file = join(folder.path, metadataFileName(keyOf('a')));
  t.equal(lstatSync(file).mode & 0o777, 0o600);
  const whole = readFileSync(file);
  for (let at = 0; at < whole.length; at += 7) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    writeFileSync(file, flipped);
    t.equal(readTokenMetadata(folder, keyOf('a')), undefined, `a flipped bit at ${String(at)}`);
  }
  writeFileSync(join(folder.path, metadataFileName(keyOf('d'))), whole, { mode: 0o600 });
  t.equal(readTokenMetadata(folder, keyOf('d')), undefined, 'under another name');
});

void t.test('identities: what lives, wherever it is kept', async (t) => {
  const place = setUpCache(t.testdir());
  const { folder, now } = place;
  storeToken(place, keyOf('a'), 2 * HOUR);
  storeToken(place, keyOf('b'), -HOUR);
  writeRecordFile(folder, keyOf('c'), { token: TOKEN, receivedAt: now, expiresAt: now - 1, endpoint, refresh: 'r' });
  writeTokenMetadata(folder, keyOf('d'), { ...aliceUntil(now + HOUR), storage: 'keyring' }, now + HOUR);
  writeTokenMetadata(folder, keyOf('e'), { ...aliceUntil(now - HOUR), storage: 'keyring' }, now - HOUR);
  writeTokenMetadata(folder, keyOf('f'), aliceUntil(now + HOUR), now + HOUR);
  t.match(listCachedIdentities(folder, now), [
    { key: keyOf('c'), storage: 'file', renewable: true, about: undefined, keystone: endpoint },
    { key: keyOf('d'), storage: 'keyring', renewable: false, about: { user: 'alice' } },
    { key: keyOf('a'), storage: 'file', renewable: false, about: { user: 'alice' } },
  ]);
  t.equal(listCachedIdentities(folder, now).length, 3);
});

void t.test('pruning takes what is said of a token with it', async (t) => {
  const place = setUpCache(t.testdir());
  storeToken(place, keyOf('a'), HOUR);
  storeToken(place, keyOf('b'), -HOUR);
  prune(place.folder.path, place.now);
  t.same(readdirSync(place.folder.path), [`${keyOf('a')}.about`, `${keyOf('a')}.token`]);
});

void t.test('no number of those files pushes a token out', async (t) => {
  const place = setUpCache(t.testdir());
  const { folder, now } = place;
  for (let index = 0; index < 300; index += 1) {
    const key = index.toString(16).padStart(64, '0');
    writeTokenMetadata(folder, key, aliceUntil(now + 2 * HOUR + index * 1000), now + 2 * HOUR + index * 1000);
  }
  storeToken(place, keyOf('a'), HOUR);
  prune(folder.path, now);
  const left = readdirSync(folder.path);
  t.ok(left.includes(`${keyOf('a')}.token`));
  t.equal(left.filter((name) => name.endsWith('.about')).length, 256);
});

void t.test('forgetting waits for the login that is under way, and takes nothing of others along', async (t) => {
  const place = setUpCache(t.testdir());
  const { folder, now } = place;
  const [mine, other, partial, run] = [keyOf('a'), keyOf('b'), keyOf('c'), keyOf('d')];
  for (const key of [mine, other]) {
    storeToken(place, key, HOUR);
    rememberRefusal({ folder, key, tag: 'tag' }, now);
  }
  writeAliasFile(folder, partial, { key: mine, apiVersion: undefined, files: [] }, now + HOUR);
  writeAliasFile(
    folder,
    run,
    { key: mine, apiVersion: 'v1' as never, files: [{ path: '/x', stamp: 's' }] },
    now + HOUR,
  );
  writeAliasFile(folder, keyOf('e'), { key: other, apiVersion: undefined, files: [] }, now + HOUR);
  const waiting = { maxWaitMs: 0, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };
  const release = await acquireLock(folder, partial, waiting);
  t.type(release, 'function');
  const longMs = setTimeout(() => release?.(), 300);
  t.teardown(() => clearTimeout(longMs));
  const startedAt = performance.now();
  const host = fakeHost({ uid });
  const forgetting = { folder, host, key: mine, storages: ['file'], maxWaitMs: 5_000, onLongWait: () => undefined };
  const { records, metadata, failures, isLoginPending } = await forgetIdentity(forgetting);
  t.ok(performance.now() - startedAt > 250, 'who logs in for incomplete settings holds another lock');
  t.match(records, [{ token: TOKEN }]);
  t.match(metadata, { user: 'alice' });
  t.same([failures, isLoginPending], [[], false]);
  t.same(
    readdirSync(folder.path).filter((name) => !name.endsWith('.lock')),
    [`${other}.about`, `${other}.refused`, `${other}.token`, `${keyOf('e')}.alias`],
  );
  t.match(await forgetIdentity(forgetting), { records: [], metadata: undefined, failures: [] }, 'twice is no error');

  const held = await acquireLocks(folder, [other], waiting);
  t.match(await forgetIdentity({ ...forgetting, key: other, maxWaitMs: 50 }), { isLoginPending: true, records: [{}] });
  held.release();
});

const PLANTED = { token: 'planted.token', notes: 'notes.txt' };

function plant(place: CacheFixture, path: string): void {
  const { folder, now } = place;
  storeToken(place, keyOf('a'), HOUR);
  storeToken(place, keyOf('b'), -HOUR);
  writeAliasFile(folder, keyOf('a'), { key: keyOf('a'), apiVersion: undefined, files: [] }, now + HOUR);
  rememberRefusal({ folder, key: keyOf('c'), tag: 'tag' }, now);
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
  put(PLANTED.token, 'no name of ours');
  put(`.${keyOf('1')}.token.abc`, 'left');
  writeFileSync(join(path, 'canary'), 'canary', { mode: 0o600 });
  symlinkSync(join(path, 'canary'), join(folder.path, `${keyOf('2')}.token`));
  linkSync(join(path, 'canary'), join(folder.path, `${keyOf('3')}.token`));
  mkdirSync(join(folder.path, `${keyOf('4')}.token`));
}

void t.test('the folder, file by file', async (t) => {
  const path = t.testdir();
  const place = setUpCache(path);
  plant(place, path);
  const states = Object.fromEntries(listCachedFiles(place.folder, place.now).map(({ name, state }) => [name, state]));
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
  const { stdout, status } = await place.run('cache', 'list', '-o', 'json');
  t.equal(status, 0);
  const { folder, files } = JSON.parse(stdout) as { folder: string; files: { name: string; endsAt: string | null }[] };
  t.equal(folder, place.folder.path);
  t.same(files.map(({ name }) => name).toSorted(), Object.keys(states).toSorted());
  t.match(
    files.find(({ name }) => name === `${keyOf('a')}.token`),
    {
      what: 'token',
      bytes: Number,
      state: 'fine',
      writtenAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
      endsAt: new Date(place.now + HOUR).toISOString().replace(/\.\d+Z$/, 'Z'),
    },
  );
  const text = await place.run('cache', 'list');
  t.match(text.stdout, /\nFILE +WHAT +BYTES +AGE +LEFT +STATE\n/);
  t.match(text.stdout, /\naaaaaaaaaaaa….token +token +\d+ +1 s +(?:59 min 59 s|1 h) +fine\n/);
  t.notOk(`${stdout}${text.stdout}`.includes(TOKEN));
});

void t.test(
  'cleaning: what has ended or is broken; with --all what can be had again; never what is not ours',
  async (t) => {
    const path = t.testdir();
    const place = setUpCache(path);
    plant(place, path);
    const left = (): string[] =>
      readdirSync(place.folder.path)
        .filter((name) => !name.endsWith('.lock'))
        .toSorted();
    const untouched = [PLANTED.notes, PLANTED.token, `${keyOf('2')}.token`, `${keyOf('4')}.token`];
    const fine = ['token', 'about', 'alias'].map((ending) => `${keyOf('a')}.${ending}`);
    const rest = [`${keyOf('c')}.refused`, 'handed-out', `.${keyOf('1')}.token.abc`];

    const first = await place.run('cache', 'clean');
    t.equal(first.status, 1, 'links are worth a look');
    t.match(
      first.stdout,
      /^6 files removed \(\d+ bytes\)\.\n(?:Left alone: [24]+\.token: it is not a file of yours\.\n){2}$/,
    );
    t.same(left(), [...untouched, ...fine, ...rest].toSorted());

    const all = await place.run('cache', 'clean', '--all', '-o', 'json');
    t.match(JSON.parse(all.stdout), { revoked: false, keyringEntries: 0, left: { length: 2 }, removed: { length: 6 } });
    t.same(left(), untouched.toSorted());
    t.ok(readdirSync(place.folder.path).includes('00.lock'), 'locks stay');
    t.equal(readFileSync(join(path, 'canary'), 'utf8'), 'canary', 'no link is followed');

    storeToken(place, keyOf('a'), HOUR);
    t.match((await place.run('cache', 'clean', '--all')).stdout, /No token was revoked: each is good until it ends\./);
  },
);

void t.test('a folder that is not safe is not worked on; one that is not there is empty', async (t) => {
  const path = t.testdir();
  const place = setUpCache(path);
  plant(place, path);
  chmodSync(place.folder.path, 0o755);
  for (const command of ['list', 'clean']) {
    const { status, stdout, stderr } = await place.run('cache', command);
    t.same([status, stdout], [1, '']);
    t.match(stderr, /is open to others/);
  }
  t.equal(findCacheFolder(fakeHost({ uid, argv: ['--cache-dir', join(path, 'nowhere')] })), undefined);
});
