// Saved secrets and their notes, also if the keyring fails. The keyring is a script that answers like the keyring
// helper; test/stress/saved-secrets.test.ts uses a real keyring.

import { chmodSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { forgetSavedSecret, listSavedSecrets, probeKeyring } from '../../src/plugin/cache/saved-secret.ts';
import { readSavedSecret, saveSecret } from '../../src/plugin/cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../../src/plugin/cache/saved-secret.ts';
import type { Host } from '../../src/shared/base/host.ts';
import { Secret } from '../../src/shared/base/secret.ts';
import { fakeHost } from '../support/fake-host.ts';

const CANARY = 'canary-4Hn8-saved';

const ALICE: SavedSecretIdentity = { key: 'a'.repeat(64), option: 'password', description: 'the password of alice' };
const BOB: SavedSecretIdentity = { key: 'b'.repeat(64), option: 'password', description: 'the password of bob' };

interface SavedSecretFixture {
  readonly host: Host;
  readonly cache: string;
  readonly entries: () => Record<string, string>;
  readonly setEntries: (entries: Readonly<Record<string, string>>) => void;
  /** Makes the keyring fail at requests of this kind from now on. */
  readonly failAt: (kind: 'read' | 'write' | 'remove' | 'nothing') => void;
  readonly countRequests: () => number;
}

function setUpSavedSecret(t: Test): SavedSecretFixture {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'saved-secret-')));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [execPath, store, failing, log] = ['keyring', 'store', 'failing', 'log'].map((name) => join(folder, name));
  if (execPath === undefined || store === undefined || failing === undefined || log === undefined) throw new Error();
  writeFileSync(
    execPath,
    // Without the environment, because tap uses it to load itself into Node, and the keyring must answer in three
    // seconds.
    `#!/usr/bin/env -S -i ${process.execPath}
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const { key, secret, remove } = JSON.parse(readFileSync(0, 'utf8'));
const kind = remove ? 'remove' : secret === undefined ? 'read' : 'write';
appendFileSync(${JSON.stringify(log)}, kind + '\\n');
if (readFileSync(${JSON.stringify(failing)}, 'utf8') === kind) process.exit(1);
const entries = JSON.parse(readFileSync(${JSON.stringify(store)}, 'utf8'));
if (kind === 'read') process.stdout.write(JSON.stringify(entries[key] ?? ''));
if (kind === 'write') entries[key] = secret;
if (kind === 'remove') delete entries[key];
writeFileSync(${JSON.stringify(store)}, JSON.stringify(entries));
`,
  );
  chmodSync(execPath, 0o700);
  writeFileSync(store, '{}');
  writeFileSync(failing, 'nothing');
  writeFileSync(log, '');
  const cache = join(folder, 'cache');
  return {
    host: fakeHost({
      execPath,
      // On Linux, the helper needs a session bus.
      platform: 'darwin',
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
      writeFileSync(failing, kind);
    },
    countRequests: () => readFileSync(log, 'utf8').split('\n').length - 1,
  };
}

const reveal = async (host: Host, identity: SavedSecretIdentity): Promise<string | undefined> =>
  (await readSavedSecret(host, identity))?.reveal();

void t.test('a secret is saved, read, listed and forgotten', async (t) => {
  const { host, cache, entries, countRequests } = setUpSavedSecret(t);
  t.equal(await reveal(host, ALICE), undefined);
  t.strictSame(listSavedSecrets(host), []);
  t.equal(await forgetSavedSecret(host, ALICE), false);
  t.equal(countRequests(), 0, 'the keyring is not asked without a note');
  await saveSecret(host, BOB, new Secret('bob-canary'));
  await saveSecret(host, ALICE, new Secret(CANARY));
  t.equal(await reveal(host, ALICE), CANARY);
  t.equal(await reveal(host, BOB), 'bob-canary');
  t.equal(await reveal(host, { ...ALICE, option: 'application-credential-secret' }), undefined, 'for another option');
  t.strictSame(listSavedSecrets(host), [ALICE, BOB]);
  for (const name of readdirSync(cache)) t.notMatch(readFileSync(join(cache, name), 'utf8'), /canary/);
  t.equal(await forgetSavedSecret(host, ALICE), true);
  t.equal(await reveal(host, ALICE), undefined);
  t.strictSame(listSavedSecrets(host), [BOB]);
  t.strictSame(Object.keys(entries()), [BOB.key]);
});

void t.test('an entry of another identity, or a changed entry, counts as absent', async (t) => {
  const { host, entries, setEntries } = setUpSavedSecret(t);
  await saveSecret(host, ALICE, new Secret(CANARY));
  await saveSecret(host, BOB, new Secret('bob-canary'));
  const saved = entries();
  setEntries({ [ALICE.key]: saved[BOB.key] ?? '', [BOB.key]: (saved[BOB.key] ?? '').replace('bob-', 'mal-') });
  t.equal(await reveal(host, ALICE), undefined);
  t.equal(await reveal(host, BOB), undefined);
  setEntries({});
  t.equal(await reveal(host, ALICE), undefined);
});

void t.test('after a failure of the keyring, no secret is used or lost', async (t) => {
  const { host, cache, entries, failAt } = setUpSavedSecret(t);
  const keyringError = { name: 'CacheError', message: 'the keyring cannot be used' };
  failAt('write');
  await t.rejects(probeKeyring(host), keyringError);
  await t.rejects(saveSecret(host, ALICE, new Secret(CANARY)), keyringError);
  t.strictSame(listSavedSecrets(host), []);
  failAt('read');
  await t.rejects(saveSecret(host, ALICE, new Secret(CANARY)), keyringError);
  t.strictSame([listSavedSecrets(host), entries()], [[], {}], 'a secret that cannot be read is removed');
  failAt('nothing');
  await probeKeyring(host);
  t.strictSame(entries(), {}, 'the probe leaves no entry');
  await saveSecret(host, ALICE, new Secret(CANARY));
  failAt('read');
  await t.rejects(reveal(host, ALICE), keyringError);
  failAt('remove');
  await t.rejects(forgetSavedSecret(host, ALICE), keyringError);
  failAt('nothing');
  t.equal(await reveal(host, ALICE), undefined, 'it is not used any more');
  t.strictSame(listSavedSecrets(host), [ALICE], 'it can still be forgotten');
  t.equal(await forgetSavedSecret(host, ALICE), true);
  t.strictSame([listSavedSecrets(host), entries()], [[], {}]);
  await saveSecret(host, ALICE, new Secret(CANARY));
  t.equal(await reveal(host, ALICE), CANARY, 'after it is saved again, it is used');
  chmodSync(cache, 0o700);
});
