/** The cache of one run: what it stores, what it reads, and what a failure costs. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { CacheFolder } from '../../src/plugin/cache/cache-folder.ts';
import {
  aliasFileName,
  lockFileName,
  metadataFileName,
  refusalFileName,
  tokenFileName,
} from '../../src/plugin/cache/file-names.ts';
import { findCacheFolders } from '../../src/plugin/cache/fallback-folders.ts';
import { readAliasFile, readRecordFile } from '../../src/plugin/cache/file-store.ts';
import { openTokenCache } from '../../src/plugin/cache/token-cache.ts';
import type { CacheSettings, TokenCache } from '../../src/plugin/cache/token-cache.ts';
import { readTokenMetadata } from '../../src/plugin/cache/token-metadata.ts';
import type { TokenOwner } from '../../src/plugin/cache/token-metadata.ts';
import type { Alias, TokenRecord } from '../../src/plugin/cache/token-record.ts';
import type { Host } from '../../src/shared/base/host.ts';
import type { ProcessIdentity } from '../../src/shared/base/process-identity.ts';
import type { SentCredential } from '../../src/plugin/cache/refusals.ts';
import { fakeHost } from '../support/fake-host.ts';
import { FAILURE, makeProcess } from '../support/remember-refusal.ts';

const uid = process.geteuid?.();
const NOW = Date.UTC(2100, 0, 1);
const HOUR = 3_600_000;
const DAYS_30 = 30 * 24 * HOUR;
const KEY = 'a'.repeat(64);
const NAME = 'b'.repeat(64);
const endpoint = 'https://keystone.test/v3';

const RECORD: TokenRecord = { token: 'gAAAA-token', receivedAt: NOW, expiresAt: NOW + HOUR, endpoint };
const OWNER: TokenOwner = { user: 'alice', scope: 'project demo', method: 'password', keystone: endpoint };
const ALIAS: Alias = { key: KEY, apiVersion: undefined, files: [] };
const WAIT = { maxWaitMs: 0, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };

interface OpenedCache {
  readonly cache: TokenCache;
  readonly folder: CacheFolder;
  readonly warnings: readonly string[];
}

async function open(t: Test, settings: Partial<CacheSettings> = {}, parts: Partial<Host> = {}): Promise<OpenedCache> {
  const path = join(t.testdirName, 'cache');
  if (!existsSync(t.testdirName)) t.testdir();
  const warnings: string[] = [];
  const host = fakeHost({ uid, env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: path }, now: () => NOW, ...parts });
  const warn = (message: string): void => void warnings.push(message);
  const cache = await openTokenCache({ host, storage: 'file', isForKubectl: true, warn, ...settings });
  return { cache, folder: { path, uid }, warnings };
}

const listFiles = ({ path }: CacheFolder): string[] => readdirSync(path).toSorted();

void t.test(
  'a stored token is found under its key and under each alias, and the files are what the fast path reads',
  async (t) => {
    const { cache, folder, warnings } = await open(t);
    t.equal(cache.onFastPath, true);
    t.equal(await cache.read(KEY), undefined);
    await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
    t.strictSame(await cache.read(KEY), { key: KEY, record: RECORD });
    t.strictSame(await cache.read(NAME), { key: KEY, record: RECORD });
    t.equal(await cache.read('c'.repeat(64)), undefined);
    t.strictSame(listFiles(folder), [metadataFileName(KEY), tokenFileName(KEY), aliasFileName(NAME)]);
    t.strictSame(readRecordFile(folder, KEY), RECORD);
    t.strictSame(readAliasFile(folder, NAME), ALIAS);
    t.match(readTokenMetadata(folder, KEY), { ...OWNER, expiresAt: NOW + HOUR, isRenewable: false, storage: 'file' });
    t.strictSame(warnings, []);
  },
);

void t.test('a record without an owner leaves the metadata that is there', async (t) => {
  const { cache, folder } = await open(t);
  await cache.store(KEY, RECORD, [], OWNER);
  await cache.store(KEY, { ...RECORD, token: 'gAAAA-second' }, []);
  t.match(readTokenMetadata(folder, KEY), { user: 'alice' });
  t.match(await cache.read(KEY), { record: { token: 'gAAAA-second' } });
});

void t.test('a record with a refresh token is renewable and outlives its token', async (t) => {
  const { cache, folder } = await open(t);
  await cache.store(KEY, { ...RECORD, refresh: 'gAAAA-refresh' }, [[NAME, ALIAS]], OWNER);
  t.match(readTokenMetadata(folder, KEY), { isRenewable: true });
  for (const name of listFiles(folder)) t.equal(statSync(join(folder.path, name)).mtimeMs, NOW + HOUR + DAYS_30, name);
});

void t.test('storing a token forgets the refusal of its key and prunes what has expired', async (t) => {
  const process: ProcessIdentity = { id: '1 1', memoryLayout: 'layout', parentPid: 1 };
  const { cache, folder } = await open(t, {}, { identifyParent: () => process, identifyProcess: () => process });
  cache.rememberRefusal(KEY, [{ isLastingPart: false, fields: ['a secret'] }], FAILURE);
  t.ok(listFiles(folder).includes(refusalFileName(KEY)));
  await cache.store(NAME, { ...RECORD, expiresAt: NOW - 1 }, []);
  t.notOk(listFiles(folder).includes(tokenFileName(NAME)), 'a token that has expired is removed at once');
  t.ok(listFiles(folder).includes(refusalFileName(KEY)), 'the refusal of another key stays');
  await cache.store(KEY, RECORD, []);
  t.strictSame(listFiles(folder), [tokenFileName(KEY)]);
});

void t.test('aliases can be stored alone, and a run without any writes and removes nothing', async (t) => {
  const { cache, folder } = await open(t);
  mkdirSync(folder.path, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder.path, tokenFileName(NAME)), '', { mode: 0o600 });
  cache.storeAliases(RECORD, []);
  t.strictSame(listFiles(folder), [tokenFileName(NAME)]);
  cache.storeAliases(RECORD, [[NAME, ALIAS]]);
  t.strictSame(listFiles(folder), [aliasFileName(NAME)]);
});

void t.test('a run that only reads creates nothing', async (t) => {
  const { cache, folder, warnings } = await open(t);
  t.equal(await cache.read(KEY), undefined);
  t.equal(cache.findRefusal(KEY, []), undefined);
  t.equal(existsSync(folder.path), false);
  t.strictSame(warnings, []);
  (await cache.lock(KEY, WAIT))?.();
  t.equal(statSync(folder.path).mode & 0o7777, 0o700);
});

void t.test('the cache "none" keeps nothing and needs no folder', async (t) => {
  const { cache, folder, warnings } = await open(t, { storage: 'none' });
  await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
  t.equal(cache.onFastPath, false);
  t.equal(await cache.read(KEY), undefined);
  t.equal(await cache.lock(KEY, WAIT), undefined);
  t.equal(cache.handOut('gAAAA'), 'nothing');
  t.equal(existsSync(folder.path), false);
  t.strictSame(warnings, []);
});

void t.test('without a home folder, one warning says that the next run will log in again', async (t) => {
  const { cache, warnings } = await open(t, {}, { env: {}, home: () => undefined });
  t.strictSame(warnings, [], 'a run that only reads does not warn');
  await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
  t.match(warnings, [
    /^there is no home folder to store the token in; the next run will log in again, unless you set .*--cache-dir/,
  ]);
  t.equal(await cache.read(KEY), undefined);
  t.equal(warnings.length, 1);
});

void t.test('a folder that cannot be used costs one warning, and the run goes on', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  const { cache, warnings } = await open(t, {}, { env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: join(file, 'cache') } });
  t.match(cache.problem?.message, /is not safe for tokens: .*file is not a folder/);
  t.equal(cache.location, undefined);
  await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
  t.match(warnings, [
    /is not safe for tokens: .*file is not a folder; the next run will log in again, unless you set .*--cache-dir/,
  ]);
  t.equal(cache.onFastPath, false);
  t.equal(await cache.read(KEY), undefined);
  t.equal(await cache.lock(KEY, WAIT), undefined);
  t.equal(cache.handOut('gAAAA'), 'nothing');
  cache.confirm('gAAAA');
  t.equal(warnings.length, 1);
});

/** A machine with a cache folder that cannot be used, and with folders for temporary files. */
function makeSubstitutes(t: Test, folders: readonly string[]): Partial<Host> {
  const base = t.testdir({ file: '' });
  chmodSync(base, 0o700);
  return {
    env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: join(base, 'file', 'cache') },
    temporaryFolders: folders.map((name) => join(base, name)),
    ...parentOf('10 1'),
  };
}

void t.test('another folder takes the place of one that cannot be used, and one warning names it', async (t) => {
  const host = makeSubstitutes(t, ['absent', 'run', 'tmp']);
  const [absent = '', run = '', tmp = ''] = host.temporaryFolders ?? [];
  mkdirSync(run);
  mkdirSync(tmp);
  const { cache, warnings } = await open(t, {}, host);
  const path = cache.location ?? '';
  t.match(path, new RegExp(`^${run}/client-keystone-auth-${uid}-[0-9a-f]{12}$`));
  t.equal(cache.onFastPath, false, 'the fast path reads the cache folder only');
  t.strictSame(readdirSync(run), [], 'a run that only reads creates nothing');
  (await cache.lock(KEY, WAIT))?.();
  await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
  t.match(warnings, [new RegExp(`file is not a folder; ${path} is used instead, unless you set .*--cache-dir`)]);
  const files = [lockFileName(KEY), metadataFileName(KEY), tokenFileName(KEY), aliasFileName(NAME), 'warned'];
  t.strictSame(listFiles({ path, uid }), files.toSorted());
  t.equal(statSync(path).mode & 0o777, 0o700);
  t.strictSame([existsSync(absent), readdirSync(tmp)], [false, []]);

  const next = await open(t, {}, host);
  t.strictSame(await next.cache.read(NAME), { key: KEY, record: RECORD });
  t.equal(next.cache.handOut('gAAAA'), 'nothing');
  t.equal(next.cache.handOut('gAAAA'), 'token', 'what kubectl got is noted there too');
  t.strictSame(next.warnings, [], 'a run with a cached token does not warn');
  (await next.cache.lock(KEY, WAIT))?.();
  t.strictSame(next.warnings, [], 'a second run of the same kubectl does not warn');
  for (const [name, parts, settings] of [
    ['another kubectl', parentOf('11 1'), {}],
    ['a run without kubectl', {}, { isForKubectl: false }],
  ] as const) {
    const other = await open(t, settings, { ...host, ...parts });
    (await other.cache.lock(KEY, WAIT))?.();
    t.equal(other.warnings.length, 1, name);
  }
});

void t.test('the substitutes of two cache folders are apart', async (t) => {
  const host = makeSubstitutes(t, ['tmp']);
  const [tmp = ''] = host.temporaryFolders ?? [];
  mkdirSync(tmp);
  const one = await open(t, {}, host);
  await one.cache.store(KEY, RECORD, [], OWNER);
  const other = await open(t, {}, { ...host, env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: join(tmp, '../file/other') } });
  t.equal(await other.cache.read(KEY), undefined);
  await other.cache.store(KEY, RECORD, [], OWNER);
  t.equal(readdirSync(tmp).length, 2);
});

void t.test(
  'a substitute that others can change is not used for tokens, and only the last resort for notes',
  async (t) => {
    const host = makeSubstitutes(t, ['open']);
    const [shared = ''] = host.temporaryFolders ?? [];
    mkdirSync(shared);
    const sent: SentCredential[] = [{ isLastingPart: false, fields: ['pw'] }];
    const callers = { ...host, identifyProcess: () => makeProcess(7) };
    chmodSync(dirname(shared), 0o755);
    chmodSync(shared, 0o777);
    const { cache, warnings } = await open(t, {}, callers);
    t.equal(cache.location, undefined);
    t.equal(await cache.lock(KEY, WAIT), undefined);
    await cache.store(KEY, RECORD, [], OWNER);
    t.match(warnings, [/the next run will log in again, unless you/]);
    cache.rememberRefusal(KEY, sent, FAILURE);
    const [name = ''] = readdirSync(shared);
    const path = join(shared, name);
    t.strictSame(listFiles({ path, uid }), [refusalFileName(KEY), 'warned'].toSorted());
    const next = await open(t, {}, callers);
    t.match(next.cache.findRefusal(KEY, sent), { refusedAt: NOW });
    (await next.cache.lock(KEY, WAIT))?.();
    t.strictSame(next.warnings, [], 'one warning for each kubectl');
    chmodSync(path, 0o755);
    const last = await open(t, {}, callers);
    t.equal(last.cache.findRefusal(KEY, sent), undefined, 'a folder that is open itself is never used');
  },
);

void t.test('notes have a folder whose name nobody else can take before', async (t) => {
  const host = makeSubstitutes(t, ['tmp']);
  const [tmp = ''] = host.temporaryFolders ?? [];
  mkdirSync(tmp);
  const callers = { ...host, identifyProcess: () => makeProcess(7) };
  const sent: SentCredential[] = [{ isLastingPart: false, fields: ['pw'] }];
  const taken = (await open(t, {}, callers)).cache.location ?? '';
  writeFileSync(taken, '');
  const { cache, warnings } = await open(t, {}, callers);
  t.equal(cache.location, undefined);
  await cache.store(KEY, RECORD, [], OWNER);
  cache.rememberRefusal(KEY, sent, FAILURE);
  t.match(warnings, [/the next run will log in again, unless you/]);
  const [name = '', ...others] = readdirSync(tmp).filter((each) => join(tmp, each) !== taken);
  t.strictSame(others, []);
  t.match(name, new RegExp(`^client-keystone-auth-${uid}-[0-9a-f]{12}$`));
  const folder = { path: join(tmp, name), uid };
  t.strictSame(listFiles(folder), [refusalFileName(KEY), 'warned'].toSorted(), 'tokens are not there');
  t.equal(statSync(folder.path).mode & 0o777, 0o700);

  const next = await open(t, {}, callers);
  t.match(next.cache.findRefusal(KEY, sent), { refusedAt: NOW });
  const folders = findCacheFolders(fakeHost({ uid, ...callers }));
  t.strictSame(
    folders.map(({ path }) => path),
    [folder.path],
    'commands that list or clean the cache find it',
  );
  const stranger = await open(t, {}, { ...callers, identifyProcess: () => makeProcess(8) });
  t.equal(stranger.cache.findRefusal(KEY, sent), undefined, 'the name depends on the memory of a process');
  const own = makeProcess(10);
  const alone = { ...host, identifyParent: () => own, identifyProcess: () => undefined };
  const last = await open(t, {}, alone);
  last.cache.rememberRefusal(KEY, sent, FAILURE);
  t.equal(readdirSync(tmp).length, 2, 'nothing would remove a folder for one kubectl command');
});

void t.test('the cache "none" remembers refusals, and nothing at home', async (t) => {
  const host = makeSubstitutes(t, ['tmp']);
  const [tmp = ''] = host.temporaryFolders ?? [];
  mkdirSync(tmp);
  const callers = { ...host, identifyProcess: () => makeProcess(7) };
  const sent: SentCredential[] = [{ isLastingPart: false, fields: ['pw'] }];
  const { cache, warnings } = await open(t, { storage: 'none' }, callers);
  await cache.store(KEY, RECORD, [], OWNER);
  cache.rememberRefusal(KEY, sent, FAILURE);
  const [name = ''] = readdirSync(tmp);
  t.strictSame(listFiles({ path: join(tmp, name), uid }), [refusalFileName(KEY)]);
  const again = await open(t, { storage: 'none' }, callers);
  t.ok(again.cache.findRefusal(KEY, sent));
  t.strictSame(warnings, []);
});

void t.test('a folder that disappears during the run is created again', async (t) => {
  const { cache, folder, warnings } = await open(t);
  (await cache.lock(KEY, WAIT))?.();
  rmSync(folder.path, { recursive: true });
  await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
  t.match(await cache.read(KEY), { record: RECORD });
  t.strictSame(warnings, []);
});

void t.test('a keyring that fails costs one warning, and the files of the cache still work', async (t) => {
  const helper = join(t.testdir({ helper: '#!/bin/sh\nexit 1\n' }), 'helper');
  chmodSync(helper, 0o700);
  const { cache, folder, warnings } = await open(t, { storage: 'keyring' }, { execPath: helper, platform: 'darwin' });
  t.equal(cache.onFastPath, false);
  t.equal(await cache.read(KEY), undefined);
  await cache.store(KEY, RECORD, [[NAME, ALIAS]], OWNER);
  t.strictSame(warnings, ['the keyring cannot be used; the next run will log in again']);
  t.equal(warnings.length, 1);
  t.equal(readTokenMetadata(folder, KEY), undefined, 'a token that is not stored is not listed');
  const release = await cache.lock(KEY, WAIT);
  t.type(release, 'function');
  release?.();
});

void t.test('a token in the keyring has its metadata in a file, and no record', async (t) => {
  const helper = join(t.testdir({ helper: '#!/bin/sh\ncat > "${0}.request"\n' }), 'helper');
  chmodSync(helper, 0o700);
  const { cache, folder } = await open(t, { storage: 'keyring' }, { execPath: helper, platform: 'darwin' });
  await cache.store(KEY, RECORD, [], OWNER);
  t.strictSame(listFiles(folder), [metadataFileName(KEY)]);
  t.match(readTokenMetadata(folder, KEY), { user: 'alice', storage: 'keyring' });
  t.match(JSON.parse(readFileSync(`${helper}.request`, 'utf8')), { key: KEY, secret: /gAAAA-token/ });
});

void t.test('a lock is held until it is released', async (t) => {
  const { cache, folder } = await open(t);
  const release = await cache.lock(KEY, WAIT);
  t.type(release, 'function');
  t.ok(existsSync(join(folder.path, lockFileName(KEY))));
  t.equal(await cache.lock(KEY, WAIT), undefined);
  release?.();
  const again = await cache.lock(KEY, WAIT);
  t.type(again, 'function');
  again?.();
});

const parentOf = (id: string): Partial<Host> => ({
  identifyParent: () => ({ id, memoryLayout: undefined, parentPid: 7 }),
});

void t.test('kubectl is told apart by its process, and nothing is recorded for other programs', async (t) => {
  const { cache } = await open(t, {}, parentOf('10 1'));
  t.equal(cache.handOut('gAAAA'), 'nothing');
  t.equal(cache.handOut('gAAAA'), 'token');
  cache.confirm('gAAAA');
  t.equal(cache.handOut('gAAAA'), 'confirmed');
  const other = await open(t, {}, parentOf('11 1'));
  t.equal(other.cache.handOut('gAAAA'), 'nothing');
  const shell = await open(t, { isForKubectl: false }, parentOf('10 1'));
  t.equal(shell.cache.handOut('gAAAA'), 'nothing');
  const unknown = await open(t, {}, {});
  t.equal(unknown.cache.handOut('gAAAA'), 'nothing');
  unknown.cache.confirm('gAAAA');
});

void t.test('a refusal is remembered in the folder, and never without a process for its tag', async (t) => {
  const sent = (password: string): SentCredential[] => [{ isLastingPart: false, fields: [password] }];
  const shell = makeProcess(7);
  const { cache } = await open(t, { isForKubectl: false }, { identifyParent: () => shell });
  t.equal(cache.findRefusal(KEY, sent('pw')), undefined);
  cache.rememberRefusal(KEY, sent('pw'), FAILURE);
  const again = await open(t, {}, { identifyParent: () => makeProcess(8), identifyProcess: () => shell });
  t.match(again.cache.findRefusal(KEY, sent('pw')), { refusedAt: NOW });
  t.equal(again.cache.findRefusal(KEY, sent('corrected')), undefined);
  t.equal(again.cache.findRefusal(NAME, sent('pw')), undefined);
  again.cache.forgetRefusals(KEY);
  t.equal(again.cache.findRefusal(KEY, sent('pw')), undefined);
  const unknown = await open(t, { isForKubectl: false }, {});
  unknown.cache.rememberRefusal(NAME, sent('pw'), FAILURE);
  t.equal(unknown.cache.findRefusal(NAME, sent('pw')), undefined);
  t.notOk(listFiles(unknown.folder).includes(refusalFileName(NAME)));
});

void t.test('eight refused credentials are remembered, the newest ones', async (t) => {
  const sent = (password: string): SentCredential[] => [{ isLastingPart: false, fields: [password] }];
  const refuse = async (password: string, now: number): Promise<void> => {
    const { cache } = await open(t, {}, { identifyProcess: () => makeProcess(7), now: () => now });
    cache.rememberRefusal(KEY, sent(password), FAILURE);
  };
  const passwords = Array.from({ length: 9 }, (_, index) => `pw ${index + 1}`);
  for (const [index, password] of passwords.entries()) await refuse(password, NOW + index);
  const { cache } = await open(t, {}, { identifyProcess: () => makeProcess(7), now: () => NOW + passwords.length });
  const found = passwords.filter((password) => cache.findRefusal(KEY, sent(password)) !== undefined);
  t.strictSame(found, passwords.slice(1));
});
