/** When a run is a cache hit: the record, the files of the alias, the cache folder and the clock all decide. */
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { ensureCacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import { tokenFileName } from '../../src/plugin/cache/file-names.ts';
import { writeAliasFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import { findCachedCredential } from '../../src/plugin/fast-path/find-cached-credential.ts';
import { computeFingerprint } from '../../src/plugin/fast-path/fingerprint.ts';
import { stampFile } from '../../src/shared/base/file-stamp.ts';
import type { FileStamp } from '../../src/shared/base/file-stamp.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { fakeHost } from '../support/fake-host.ts';

const uid = process.geteuid?.();
const NOW = Date.UTC(2100, 0, 1);
const HOUR = 3_600_000;
const KEY = 'a'.repeat(64);
const RECORD = { token: 'gAAAA-token', receivedAt: NOW, expiresAt: NOW + HOUR, endpoint: 'https://keystone.test/v3' };

interface CacheHit {
  readonly host: Host;
  readonly folder: CacheFolder;
}

/** Prepares a cache in which a run is a hit, as long as `files` do not change. */
function prepareHit(t: Test, files: readonly FileStamp[] = []): CacheHit {
  const base = t.testdirName;
  mkdirSync(base, { recursive: true });
  const host = fakeHost({ uid, env: { XDG_CACHE_HOME: base }, now: () => NOW });
  const folder = { path: join(base, 'client-keystone-auth'), uid };
  ensureCacheFolder(folder);
  writeRecordFile(folder, KEY, RECORD);
  writeAliasFile(
    folder,
    computeFingerprint(host, '') ?? '',
    { key: KEY, apiVersion: undefined, files },
    RECORD.expiresAt,
  );
  return { host, folder };
}

void t.test('a hit is the token in the first version of the API, with its time of expiry', async (t) => {
  const { host } = prepareHit(t);
  t.match(JSON.parse(findCachedCredential(host) ?? ''), {
    apiVersion: 'client.authentication.k8s.io/v1',
    status: { token: 'gAAAA-token' },
  });
});

void t.test('a change to any of the files is a miss, whichever it is', async (t) => {
  const base = t.testdir({ first: '1', second: '2' });
  const paths = ['first', 'second'].map((name) => join(base, name));
  for (const changed of paths) {
    for (const path of paths) utimesSync(path, 1_000, 1_000);
    const { host } = prepareHit(t, paths.map(stampFile));
    t.ok(findCachedCredential(host));
    utimesSync(changed, 2_000, 2_000);
    t.equal(findCachedCredential(host), undefined, changed);
  }
});

void t.test('other arguments, a missing record and another identity are misses', async (t) => {
  const { host, folder } = prepareHit(t);
  t.ok(findCachedCredential(host));
  t.equal(findCachedCredential({ ...host, argv: ['--project-name=other'] }), undefined);
  writeFileSync(join(folder.path, tokenFileName(KEY)), 'damaged', { mode: 0o600 });
  t.equal(findCachedCredential(host), undefined);
});

void t.test('an error on the way to a hit is a miss', async (t) => {
  const { host, folder } = prepareHit(t);
  t.equal(findCachedCredential({ ...host, env: { ...host.env, KUBERNETES_EXEC_INFO: 'no JSON' } }), undefined);
  chmodSync(folder.path, 0o755);
  t.equal(findCachedCredential(host), undefined);
  chmodSync(folder.path, 0o700);
  t.ok(findCachedCredential(host));
});
