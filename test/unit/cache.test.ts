import {
  chmodSync,
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
import { cacheFolder } from '../../src/cache/folder.ts';
import { isUnchanged, stampFile } from '../../src/cache/file-stamp.ts';
import { readPrivate, writePrivate } from '../../src/cache/private-file.ts';
import { isFresh, sealAlias, sealRecord, unsealAlias, unsealRecord } from '../../src/cache/record.ts';
import { openFileStore } from '../../src/cache/store.ts';
import { lookup } from '../../src/hit/lookup.ts';
import { fingerprint } from '../../src/hit/fingerprint.ts';
import type { Host } from '../../src/host.ts';
import { fakeHost } from '../support/fake-host.ts';

const uid = process.geteuid?.();
const NOW = 1_790_000_000_000;
const record = { token: 'gAAAA-token', receivedAt: NOW, expiresAt: NOW + 3_600_000 };

const hostIn = (folder: string, parts: Partial<Host> = {}): Host =>
  fakeHost({ uid, env: { XDG_CACHE_HOME: folder }, now: () => NOW, ...parts });

void t.test('the folder', async (t) => {
  t.equal(cacheFolder(fakeHost()), '/home/alice/.cache/client-keystone-auth');
  t.equal(cacheFolder(fakeHost({ env: { XDG_CACHE_HOME: '/c' } })), '/c/client-keystone-auth');
  t.equal(cacheFolder(fakeHost({ env: { XDG_CACHE_HOME: 'relative' } })), '/home/alice/.cache/client-keystone-auth');
  t.equal(cacheFolder(fakeHost({ home: () => undefined })), undefined, 'no home, no cache: never /tmp');
  t.equal(cacheFolder(fakeHost({ platform: 'darwin' })), '/home/alice/Library/Caches/client-keystone-auth');
  t.equal(cacheFolder(fakeHost({ platform: 'win32', env: {} })), undefined);
});

void t.test('what is written is private, whatever the umask, and complete', async (t) => {
  for (const mask of [0o000, 0o022, 0o077]) {
    const folder = join(t.testdir(), `cache-${mask.toString(8)}`, 'deeper');
    const before = process.umask(mask);
    try {
      writePrivate(folder, 'name', 'text', uid);
    } finally {
      process.umask(before);
    }
    t.equal(statSync(folder).mode & 0o777, 0o700);
    t.equal(statSync(join(folder, 'name')).mode & 0o777, 0o600);
    t.same(readdirSync(folder), ['name'], 'nothing temporary is left');
    t.equal(readPrivate(join(folder, 'name'), uid), 'text');
  }
});

void t.test('a loose folder is closed, a loose file refused and replaced', async (t) => {
  const folder = t.testdir({ name: 'planted' });
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'name'), 0o644);
  t.equal(readPrivate(join(folder, 'name'), uid), undefined);
  writePrivate(folder, 'name', 'text', uid);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.equal(readPrivate(join(folder, 'name'), uid), 'text');
});

void t.test('links and other things are no files of ours', async (t) => {
  const folder = t.testdir({ canary: 'canary' });
  chmodSync(join(folder, 'canary'), 0o600);
  symlinkSync(join(folder, 'canary'), join(folder, 'link'));
  t.equal(readPrivate(join(folder, 'link'), uid), undefined, 'symbolic link');
  linkSync(join(folder, 'canary'), join(folder, 'second'));
  t.equal(readPrivate(join(folder, 'second'), uid), undefined, 'second name');
  mkdirSync(join(folder, 'folder'));
  t.equal(readPrivate(join(folder, 'folder'), uid), undefined, 'folder');
  t.equal(readPrivate(join(folder, 'absent'), uid), undefined, 'absent');
  writePrivate(folder, 'link', 'text', uid);
  t.equal(readFileSync(join(folder, 'canary'), 'utf8'), 'canary', 'the target of a planted link is left alone');
  writeFileSync(join(folder, 'huge'), 'x'.repeat(70_000), { mode: 0o600 });
  t.equal(readPrivate(join(folder, 'huge'), uid), undefined, 'too large');
});

void t.test('a folder that cannot be one gives a CacheError', async (t) => {
  const folder = t.testdir({ file: '' });
  t.throws(
    () => {
      writePrivate(join(folder, 'file'), 'name', 'text', uid);
    },
    { code: 'cache' },
  );
  t.throws(
    () => {
      writePrivate(join(folder, 'other'), 'name', 'text', (uid ?? 0) + 1);
    },
    { code: 'cache' },
  );
});

void t.test('a record survives only whole, and only under its own key', async (t) => {
  const sealed = sealRecord('k1', record);
  t.same(unsealRecord('k1', sealed), record);
  t.equal(unsealRecord('k2', sealed), undefined);
  let served = 0;
  for (let index = 0; index < sealed.length; index += 1) {
    for (const flip of [1, 2, 0x20]) {
      const broken =
        sealed.slice(0, index) + String.fromCharCode(sealed.charCodeAt(index) ^ flip) + sealed.slice(index + 1);
      if (unsealRecord('k1', broken) !== undefined) served += 1;
    }
    if (unsealRecord('k1', sealed.slice(0, index)) !== undefined) served += 1;
  }
  t.equal(served, 0);
  t.equal(unsealRecord('k1', ''), undefined);
  t.equal(unsealAlias('k1', sealed), undefined, 'a record is no alias');
});

void t.test('an alias', async (t) => {
  const alias = { key: 'k', apiVersion: undefined, files: [{ path: '/ca.pem', stamp: '1 2 3' }] };
  t.same(unsealAlias('f', sealAlias('f', alias)), alias);
  t.equal(unsealAlias('g', sealAlias('f', alias)), undefined);
  const versioned = { ...alias, apiVersion: 'client.authentication.k8s.io/v1beta1' as const, files: [] };
  t.same(unsealAlias('f', sealAlias('f', versioned)), versioned);
});

void t.test('freshness', async (t) => {
  const living = (lifetime: number, age: number): boolean =>
    isFresh({ token: 't', receivedAt: NOW, expiresAt: NOW + lifetime }, NOW + age);
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
  t.ok(isUnchanged(stamp));
  utimesSync(path, 1, 1);
  t.notOk(isUnchanged(stamp));
  const absent = stampFile(join(folder, 'absent'));
  t.ok(isUnchanged(absent));
  writeFileSync(join(folder, 'absent'), '');
  t.notOk(isUnchanged(absent), 'a file that appears changes the answer too');
});

void t.test('lookup', async (t) => {
  const folder = t.testdir({ 'ca.pem': 'x' });
  const host = hostIn(folder);
  const ca = stampFile(join(folder, 'ca.pem'));
  t.equal(lookup(host), undefined, 'an empty cache is a miss');
  const store = openFileStore(host);
  store?.writeRecord('k', record);
  store?.writeAlias(fingerprint(host, ''), { key: 'k', apiVersion: undefined, files: [ca] });
  t.match(lookup(host), /"apiVersion":"client.authentication.k8s.io\/v1".*gAAAA-token/);
  t.equal(lookup(hostIn(folder, { argv: ['--force-refresh'] })), undefined);
  t.equal(lookup(hostIn(folder, { now: () => record.expiresAt })), undefined, 'expired');
  const asked = (apiVersion: string): Host =>
    hostIn(folder, {
      env: {
        XDG_CACHE_HOME: folder,
        KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: {} }),
      },
    });
  t.match(lookup(asked('client.authentication.k8s.io/v1beta1')), /v1beta1/, 'the asked version is echoed');
  t.equal(lookup(asked('client.authentication.k8s.io/v1alpha1')), undefined, 'the slow path explains');
  utimesSync(ca.path, 1, 1);
  t.equal(lookup(host), undefined, 'a changed file is a miss');
  t.equal(lookup(fakeHost({ home: () => undefined })), undefined, 'no folder');
});
