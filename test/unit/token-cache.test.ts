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
import { resolveCacheFolder, checkCacheFolder, ensureCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { isFileUnchanged, stampFile } from '../../src/shared/base/file-stamp.ts';
import { readPrivateFile, withPrivateFile, writePrivateFile } from '../../src/plugin/cache/private-file.ts';
import {
  isFresh,
  serializeAlias,
  serializeRecord,
  parseAlias,
  parseRecord,
} from '../../src/plugin/cache/token-record.ts';
import { writeAliasFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import { markConfirmed, markHandedOut } from '../../src/plugin/cache/handed-out-tokens.ts';
import { prune } from '../../src/plugin/cache/prune.ts';
import { forgetRefusal, readRefusalTime, rememberRefusal, tagCredential } from '../../src/plugin/cache/refusals.ts';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import type { Host } from '../../src/shared/base/host.ts';
import type { ProcessIdentity } from '../../src/shared/base/process-identity.ts';
import { fakeHost } from '../support/fake-host.ts';

const uid = process.geteuid?.();
const NOW = 1_790_000_000_000;
const endpoint = 'https://keystone.test/v3';
const record = { token: 'gAAAA-token', receivedAt: NOW, expiresAt: NOW + 3_600_000, endpoint };

const hostIn = (folder: string, parts: Partial<Host> = {}): Host =>
  fakeHost({ uid, env: { XDG_CACHE_HOME: folder }, now: () => NOW, ...parts });

void t.test('the folder', async (t) => {
  t.equal(resolveCacheFolder(fakeHost()), '/home/alice/.cache/client-keystone-auth');
  t.equal(resolveCacheFolder(fakeHost({ env: { XDG_CACHE_HOME: '/c' } })), '/c/client-keystone-auth');
  t.equal(
    resolveCacheFolder(fakeHost({ env: { XDG_CACHE_HOME: 'relative' } })),
    '/home/alice/.cache/client-keystone-auth',
  );
  t.equal(resolveCacheFolder(fakeHost({ home: () => undefined })), undefined, 'no home, no cache: never /tmp');
  t.equal(resolveCacheFolder(fakeHost({ platform: 'darwin' })), '/home/alice/Library/Caches/client-keystone-auth');
  t.equal(resolveCacheFolder(fakeHost({ platform: 'win32', env: {} })), undefined);
});

void t.test('what is written is private, whatever the umask, and complete', async (t) => {
  for (const mask of [0o000, 0o022, 0o077]) {
    const folder = join(t.testdir(), `cache-${mask.toString(8)}`, 'deeper');
    const before = process.umask(mask);
    try {
      ensureCacheFolder(folder, uid);
      writePrivateFile(folder, 'name', 'text', NOW);
    } finally {
      process.umask(before);
    }
    t.equal(statSync(folder).mode & 0o777, 0o700);
    t.equal(statSync(join(folder, 'name')).mode & 0o777, 0o600);
    t.equal(statSync(join(folder, 'name')).mtimeMs, NOW, 'its time says when it ends');
    t.same(readdirSync(folder), ['name'], 'nothing temporary is left');
    t.equal(readPrivateFile(join(folder, 'name'), uid), 'text');
  }
});

void t.test('a loose folder is closed, a loose file refused and replaced', async (t) => {
  const folder = t.testdir({ name: 'planted' });
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'name'), 0o644);
  t.equal(readPrivateFile(join(folder, 'name'), uid), undefined);
  withPrivateFile(join(folder, 'name'), uid, (fd) => t.equal(fstatSync(fd).size, 0, 'a loose file makes way'));
  t.throws(() => withPrivateFile(folder, uid, () => undefined), { code: 'cache' }, 'a folder does not');
  t.throws(() => checkCacheFolder(folder, uid), { code: 'cache' });
  ensureCacheFolder(folder, uid);
  writePrivateFile(folder, 'name', 'text', NOW);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.equal(readPrivateFile(join(folder, 'name'), uid), 'text');
});

void t.test('links and other things are no files of ours', async (t) => {
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
  t.equal(readFileSync(join(folder, 'canary'), 'utf8'), 'canary', 'the target of a planted link is left alone');
  writeFileSync(join(folder, 'huge'), 'x'.repeat(70_000), { mode: 0o600 });
  t.equal(readPrivateFile(join(folder, 'huge'), uid), undefined, 'too large');
});

void t.test('a folder that cannot be one gives a CacheError', async (t) => {
  const folder = t.testdir({ file: '' });
  t.throws(() => ensureCacheFolder(join(folder, 'file'), uid), { code: 'cache' });
  t.throws(() => ensureCacheFolder(join(folder, 'file', 'below'), uid), { code: 'cache' });
  t.throws(() => ensureCacheFolder(join(folder, 'other'), (uid ?? 0) + 1), { code: 'cache' });
  t.throws(() => writePrivateFile(join(folder, 'absent'), 'name', 'text', NOW), { code: 'cache' });
});

void t.test('above the folder nobody else may write', async (t) => {
  const base = t.testdir({ open: { '.cache': {} } });
  const folder = join(base, 'open', '.cache', 'kept');
  ensureCacheFolder(folder, uid);
  chmodSync(join(base, 'open'), 0o777);
  t.throws(() => checkCacheFolder(folder, uid), { code: 'cache', message: /open can be written by others/ });
  chmodSync(join(base, 'open'), 0o1777);
  t.doesNotThrow(() => checkCacheFolder(folder, uid), 'a sticky folder keeps entries to their owners');
  chmodSync(join(base, 'open'), 0o700);
  chmodSync(join(base, 'open', '.cache'), 0o775);
  t.doesNotThrow(() => checkCacheFolder(folder, uid), 'nobody else gets past the folder above');
  chmodSync(join(base, 'open'), 0o755);
  t.throws(() => checkCacheFolder(folder, uid), { message: /\.cache can be written by others/ });
  symlinkSync(join(base, 'open', '.cache'), join(base, 'link'));
  t.throws(() => checkCacheFolder(join(base, 'link', 'kept'), uid), { code: 'cache' }, 'a link hides nothing');
});

void t.test('a record survives only whole, and only under its own key', async (t) => {
  const sealed = serializeRecord('k1', record);
  t.same(parseRecord('k1', sealed), record);
  t.equal(parseRecord('k2', sealed), undefined);
  let served = 0;
  for (let index = 0; index < sealed.length; index += 1) {
    for (const flip of [1, 2, 0x20]) {
      const broken =
        sealed.slice(0, index) + String.fromCharCode(sealed.charCodeAt(index) ^ flip) + sealed.slice(index + 1);
      if (parseRecord('k1', broken) !== undefined) served += 1;
    }
    if (parseRecord('k1', sealed.slice(0, index)) !== undefined) served += 1;
  }
  t.equal(served, 0);
  t.equal(parseRecord('k1', ''), undefined);
  t.equal(parseAlias('k1', sealed), undefined, 'a record is no alias');
});

void t.test('an alias', async (t) => {
  const alias = { key: 'k', apiVersion: undefined, files: [{ path: '/ca.pem', stamp: '1 2 3' }] };
  t.same(parseAlias('f', serializeAlias('f', alias)), alias);
  t.equal(parseAlias('g', serializeAlias('f', alias)), undefined);
  const versioned = { ...alias, apiVersion: 'client.authentication.k8s.io/v1beta1' as const, files: [] };
  t.same(parseAlias('f', serializeAlias('f', versioned)), versioned);
});

void t.test('freshness', async (t) => {
  const living = (lifetime: number, age: number): boolean =>
    isFresh({ ...record, expiresAt: NOW + lifetime }, NOW + age);
  t.ok(living(3_600_000, 0));
  t.ok(living(3_600_000, 3_600_000 - 120_001));
  t.notOk(living(3_600_000, 3_600_000 - 120_000), 'the last two minutes are not used');
  t.ok(living(60_000, 29_999), 'of a short life half is used');
  t.notOk(living(60_000, 30_000));
  t.notOk(living(0, 0));
  t.notOk(living(-1_000, 0));
  t.notOk(living(3_600_000, -120_000), 'received in the future: the clock went back');
});

void t.test('stamps', async (t) => {
  const folder = t.testdir({ file: 'one' });
  const path = join(folder, 'file');
  const stamp = stampFile(path);
  t.ok(isFileUnchanged(stamp));
  utimesSync(path, 1, 1);
  t.notOk(isFileUnchanged(stamp));
  const absent = stampFile(join(folder, 'absent'));
  t.ok(isFileUnchanged(absent));
  writeFileSync(join(folder, 'absent'), '');
  t.notOk(isFileUnchanged(absent), 'a file that appears changes the answer too');
});

void t.test('lookup', async (t) => {
  const base = t.testdir({ 'ca.pem': 'x' });
  const host = hostIn(base);
  const folder = { path: resolveCacheFolder(host) ?? '', uid };
  const ca = stampFile(join(base, 'ca.pem'));
  t.equal(findCachedCredential(host), undefined, 'an empty cache is a miss');
  const give = (cluster: string, parts: Partial<Host> = {}): void => {
    const alias = { key: 'k', apiVersion: undefined, files: [ca] };
    writeAliasFile(folder, computeFingerprint(hostIn(base, parts), cluster), alias, record.expiresAt);
  };
  ensureCacheFolder(folder.path, uid);
  writeRecordFile(folder, 'k', record);
  give('');
  t.match(findCachedCredential(host), /"apiVersion":"client.authentication.k8s.io\/v1".*gAAAA-token/);
  t.equal(findCachedCredential(hostIn(base, { argv: ['--force-refresh'] })), undefined);
  t.equal(findCachedCredential(hostIn(base, { now: () => record.expiresAt })), undefined, 'expired');
  const asked = (apiVersion: string, parts: Partial<Host> = {}): Host => {
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: {} });
    return hostIn(base, { env: { XDG_CACHE_HOME: base, KUBERNETES_EXEC_INFO: info }, ...parts });
  };
  t.match(
    findCachedCredential(asked('client.authentication.k8s.io/v1beta1')),
    /v1beta1/,
    'the asked version is echoed',
  );
  t.equal(findCachedCredential(asked('client.authentication.k8s.io/v1alpha1')), undefined, 'the slow path explains');

  const kin = (id: string) => ({ id, memoryLayout: undefined, sessionLeaderPid: 1 });
  const byKubectl = (id: string): Host => asked('client.authentication.k8s.io/v1', { identifyParent: () => kin(id) });
  t.ok(findCachedCredential(byKubectl('10 1')), 'a kubectl asks');
  t.equal(findCachedCredential(byKubectl('10 1')), undefined, 'the same asks again: the slow path asks Keystone');
  t.ok(findCachedCredential(byKubectl('11 1')), 'another kubectl');
  t.ok(findCachedCredential(byKubectl('10 2')), 'another kubectl with the same pid');
  t.ok(findCachedCredential(hostIn(base, { identifyParent: () => kin('12 1') })), 'a shell');
  t.ok(
    findCachedCredential(hostIn(base, { identifyParent: () => kin('12 1') })),
    'a shell may ask as often as it likes',
  );

  chmodSync(folder.path, 0o755);
  t.equal(findCachedCredential(host), undefined, 'an open folder is not trusted');
  chmodSync(folder.path, 0o700);
  t.ok(findCachedCredential(host));
  utimesSync(ca.path, 1, 1);
  t.equal(findCachedCredential(host), undefined, 'a changed file is a miss');
  t.equal(findCachedCredential(fakeHost({ home: () => undefined })), undefined, 'no folder');
});

void t.test('handed out', async (t) => {
  const folder = t.testdir();
  const to = (parent: string, now = NOW) => ({ folder, uid, parent, now });
  t.equal(markHandedOut(to('1 1'), 'a'), 'nothing');
  t.equal(markHandedOut(to('1 1'), 'a'), 'token');
  t.equal(markHandedOut(to('2 1'), 'a'), 'nothing');
  markConfirmed(to('1 1'), 'a');
  t.equal(markHandedOut(to('1 1'), 'a'), 'confirmed');
  t.equal(markHandedOut(to('1 1', NOW + 299_000), 'a'), 'confirmed');
  t.equal(markHandedOut(to('1 1', NOW + 301_000), 'a'), 'token', 'a parent that lives on may ask again');
  t.equal(markHandedOut(to('1 1'), 'b'), 'nothing', 'a new token is new');
  for (let parent = 0; parent < 1_000; parent += 1) markHandedOut(to(`${parent} 9`), 'a');
  t.ok(statSync(join(folder, 'handed-out')).size <= 256 * 47, 'it does not grow');
});

void t.test('pruning', async (t) => {
  const folder = t.testdir();
  const now = Date.now();
  const make = (name: string, until: number): void => writePrivateFile(folder, name, '', until);
  make('old.token', now - 1_000);
  make('old.alias', now - 1_000);
  make('old.refused', now - 1_000);
  make('new.token', now + 100_000);
  make('other', now - 1_000);
  writeFileSync(join(folder, '.0a.token.x1y2'), '');
  prune(folder, now);
  t.same(readdirSync(folder).sort(), ['.0a.token.x1y2', 'new.token', 'other'], 'what is being written is left alone');
  prune(folder, now + 61_000);
  t.same(readdirSync(folder).sort(), ['new.token', 'other'], 'the leftover of a killed writer goes after a minute');
  for (let file = 0; file < 1_000; file += 1) writeFileSync(join(folder, `${file}.alias`), '');
  prune(folder, 0);
  t.equal(readdirSync(folder).length, 257);
  prune(join(folder, 'absent'), now);
});

void t.test('refusals', async (t) => {
  const folder = { path: t.testdir(), uid };
  const kin = (id: string, memoryLayout?: string) => ({ id, memoryLayout, sessionLeaderPid: 1 });
  const session = kin('1 1', '140720874771440 94');
  const bare = kin('1 1');
  const tag = (
    parent: string,
    secret: string | undefined,
    of: ProcessIdentity | undefined = session,
  ): string | undefined =>
    tagCredential({ sessionLeader: of, parent: kin(parent), isForKubectl: true }, [secret, undefined]);
  t.equal(tag('2 1', 'pw'), tag('3 1', 'pw'), 'one terminal, two commands, the same password');
  t.not(tag('2 1', 'pw'), tag('2 1', 'corrected'));
  t.not(tag('2 1', 'pw'), tag('2 1', 'pw', kin('1 1', '140720874771441 94')), 'keyed by the layout of the shell');
  t.equal(tag('2 1', 'pw', bare), tag('2 1', 'other', bare), 'without that key it says nothing of the password');
  t.not(tag('2 1', 'pw', bare), tag('3 1', 'pw', bare));
  t.not(tag('2 1', undefined), tag('3 1', undefined), 'each command may ask once');
  t.equal(tagCredential({ sessionLeader: undefined, parent: undefined, isForKubectl: true }, ['pw']), undefined);

  const byHand = (parent: ProcessIdentity, secret: string | undefined, of?: ProcessIdentity): string | undefined =>
    tagCredential({ sessionLeader: of, parent, isForKubectl: false }, [secret, undefined]);
  const script = kin('2 1', '140720874771442 94');
  t.equal(byHand(script, 'pw'), byHand(script, 'pw'), 'a script, where the shell of the terminal is not to be seen');
  t.not(byHand(script, 'pw'), byHand(script, 'corrected'));
  t.equal(byHand(script, 'pw', session), byHand(kin('3 1'), 'pw', session));
  t.equal(byHand(script, 'pw', session), tag('2 1', 'pw'), 'in one terminal by hand is like through kubectl');
  t.equal(byHand(script, undefined, session), undefined, 'by hand one may be asked as often as one likes');
  t.equal(byHand(kin('2 1'), 'pw', bare), undefined, 'and nothing is kept where it cannot be kept safely');

  const memory = { folder, key: 'k', tag: tag('2 1', 'pw') ?? '' };
  t.equal(readRefusalTime(memory, NOW), undefined);
  rememberRefusal(memory, NOW);
  t.equal(readRefusalTime(memory, NOW + 29_999), NOW);
  t.equal(readRefusalTime(memory, NOW + 30_000), undefined);
  t.equal(readRefusalTime({ ...memory, tag: 'other' }, NOW), undefined, 'another password is tried at once');
  t.notMatch(readFileSync(join(folder.path, 'k.refused'), 'utf8'), /pw|14072/);
  forgetRefusal(folder, 'k');
  t.equal(readRefusalTime(memory, NOW), undefined);
});
