// What is noted of secrets in the keyring, and what becomes of both when either fails. The keyring is a program that speaks as our helper
// does; test/stress/saved-secrets.test.ts has a real one.

import { chmodSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import {
  forgetSavedSecret,
  saveSecret,
  listSavedSecrets,
  probeKeyring,
  readSavedSecret,
} from '../../src/plugin/cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../../src/plugin/cache/saved-secret.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { fakeHost } from '../support/fake-host.ts';

const CANARY = 'canary-4Hn8-kept';

const ALICE: SavedSecretIdentity = { key: 'a'.repeat(64), option: 'password', description: 'the password of alice' };
const BOB: SavedSecretIdentity = { key: 'b'.repeat(64), option: 'password', description: 'the password of bob' };

interface SavedSecretFixture {
  readonly host: Host;
  readonly cache: string;
  readonly entries: () => Record<string, string>;
  readonly setEntries: (entries: Readonly<Record<string, string>>) => void;
  /** Requests that the keyring fails at from now on. */
  readonly failAt: (kind: 'read' | 'write' | 'remove' | 'nothing') => void;
  readonly countRequests: () => number;
}

function setUpSavedSecret(t: Test): SavedSecretFixture {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kept-')));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [execPath, store, fails, log] = ['keyring', 'store', 'fails', 'log'].map((name) => join(folder, name));
  if (execPath === undefined || store === undefined || fails === undefined || log === undefined) throw new Error();
  writeFileSync(
    execPath,
    // Without the environment, by which tap loads itself into every Node: nobody waits for a keyring longer than three seconds.
    `#!/usr/bin/env -S -i ${process.execPath}
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const { key, secret, remove } = JSON.parse(readFileSync(0, 'utf8'));
const kind = remove ? 'remove' : secret === undefined ? 'read' : 'write';
appendFileSync(${JSON.stringify(log)}, kind + '\\n');
if (readFileSync(${JSON.stringify(fails)}, 'utf8') === kind) process.exit(1);
const entries = JSON.parse(readFileSync(${JSON.stringify(store)}, 'utf8'));
if (kind === 'read') process.stdout.write(entries[key] ?? '');
if (kind === 'write') entries[key] = secret;
if (kind === 'remove') delete entries[key];
writeFileSync(${JSON.stringify(store)}, JSON.stringify(entries));
`,
  );
  chmodSync(execPath, 0o700);
  writeFileSync(store, '{}');
  writeFileSync(fails, 'nothing');
  writeFileSync(log, '');
  const cache = join(folder, 'cache');
  return {
    host: fakeHost({
      execPath,
      uid: process.getuid?.(),
      env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: cache },
      now: Date.now,
    }),
    cache,
    entries: () => JSON.parse(readFileSync(store, 'utf8')) as Record<string, string>,
    setEntries: (entries) => {
      writeFileSync(store, JSON.stringify(entries));
    },
    failAt: (kind) => {
      writeFileSync(fails, kind);
    },
    countRequests: () => readFileSync(log, 'utf8').split('\n').length - 1,
  };
}

const recall = async (host: Host, identity: SavedSecretIdentity): Promise<string | undefined> =>
  (await readSavedSecret(host, identity))?.reveal();

void t.test('kept, recalled, listed, forgotten', async (t) => {
  const { host, cache, entries, countRequests } = setUpSavedSecret(t);
  t.equal(await recall(host, ALICE), undefined);
  t.strictSame(listSavedSecrets(host), []);
  t.equal(await forgetSavedSecret(host, ALICE), false);
  t.equal(countRequests(), 0, 'the keyring is not asked for what was never kept');
  await saveSecret(host, BOB, new Secret('bob-canary'));
  await saveSecret(host, ALICE, new Secret(CANARY));
  t.equal(await recall(host, ALICE), CANARY);
  t.equal(await recall(host, BOB), 'bob-canary');
  t.equal(await recall(host, { ...ALICE, option: 'application-credential-secret' }), undefined, 'for another use');
  t.strictSame(listSavedSecrets(host), [ALICE, BOB]);
  for (const name of readdirSync(cache)) t.notMatch(readFileSync(join(cache, name), 'utf8'), /canary/);
  t.equal(await forgetSavedSecret(host, ALICE), true);
  t.equal(await recall(host, ALICE), undefined);
  t.strictSame(listSavedSecrets(host), [BOB]);
  t.strictSame(Object.keys(entries()), [BOB.key]);
});

void t.test("an entry that is another's, or not as it was written, is none", async (t) => {
  const { host, entries, setEntries } = setUpSavedSecret(t);
  await saveSecret(host, ALICE, new Secret(CANARY));
  await saveSecret(host, BOB, new Secret('bob-canary'));
  const kept = entries();
  setEntries({ [ALICE.key]: kept[BOB.key] ?? '', [BOB.key]: (kept[BOB.key] ?? '').replace('bob-', 'mal-') });
  t.equal(await recall(host, ALICE), undefined);
  t.equal(await recall(host, BOB), undefined);
  setEntries({});
  t.equal(await recall(host, ALICE), undefined);
});

void t.test('a keyring that fails', async (t) => {
  const { host, cache, entries, failAt } = setUpSavedSecret(t);
  const failed = { name: 'CacheError', message: 'the keyring cannot be used' };
  failAt('write');
  await t.rejects(probeKeyring(host), failed);
  await t.rejects(saveSecret(host, ALICE, new Secret(CANARY)), failed);
  t.strictSame(listSavedSecrets(host), []);
  failAt('read');
  await t.rejects(saveSecret(host, ALICE, new Secret(CANARY)), failed);
  t.strictSame([listSavedSecrets(host), entries()], [[], {}], 'what cannot be read again is not left there');
  failAt('nothing');
  await probeKeyring(host);
  t.strictSame(entries(), {}, 'nothing is left of trying');
  await saveSecret(host, ALICE, new Secret(CANARY));
  failAt('read');
  await t.rejects(recall(host, ALICE), failed);
  failAt('remove');
  await t.rejects(forgetSavedSecret(host, ALICE), failed);
  failAt('nothing');
  t.equal(await recall(host, ALICE), undefined, 'it is not used any more all the same');
  t.strictSame(listSavedSecrets(host), [ALICE], 'and can still be forgotten');
  t.equal(await forgetSavedSecret(host, ALICE), true);
  t.strictSame([listSavedSecrets(host), entries()], [[], {}]);
  await saveSecret(host, ALICE, new Secret(CANARY));
  t.equal(await recall(host, ALICE), CANARY, 'kept anew, it is used again');
  chmodSync(cache, 0o700);
});
