// The checks of the signing keys of an issuer, with a store that answers when the test says so.

import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import type { KeyStore } from '../../src/webhook/issuer/key-store.ts';
import { KEY_CHECK_MS } from '../../src/webhook/issuer/key-schedule.ts';
import { makeSigningKey } from '../../src/webhook/issuer/signing-key.ts';
import type { SigningKey } from '../../src/webhook/issuer/signing-key.ts';
import { openSigningKeys } from '../../src/webhook/issuer/signing-keys.ts';
import { openLog } from '../../src/webhook/observability/log.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';

const DAY_MS = 86_400_000;

interface SlowStore extends KeyStore {
  /** Answers the reads that have not been answered, each with what the store contained when it began. */
  readonly answer: () => Promise<void>;
  readonly replace: (keys: readonly SigningKey[]) => void;
  readonly readCount: () => number;
}

/** A store that answers its first read at once. */
function makeSlowStore(first: readonly SigningKey[]): SlowStore {
  let stored = first;
  let readCount = 0;
  const open: (() => void)[] = [];
  const never = (): Promise<never> => Promise.reject(new Error('no key is due'));
  return {
    place: 'keys.json',
    read() {
      readCount += 1;
      const found = stored;
      if (readCount === 1) return Promise.resolve(found);
      return new Promise((resolve) => {
        open.push(() => {
          resolve(found);
        });
      });
    },
    update: never,
    create: never,
    async answer() {
      // The last one first, as when the first one has taken a slow connection.
      for (const answer of open.splice(0).toReversed()) answer();
      await setImmediate();
    },
    replace: (keys) => (stored = keys),
    readCount: () => readCount,
  };
}

async function open(t: Test) {
  const clock = makeVirtualClock();
  const now = clock.now();
  const make = (signsFrom: number): Promise<SigningKey> => makeSigningKey('ES256', { createdAt: now, signsFrom });
  const [old, next] = [await make(now), await make(now + DAY_MS)];
  const store = makeSlowStore([old]);
  let output = '';
  const keys = await openSigningKeys({
    store,
    rotation: { algorithm: 'ES256', rotationMs: 30 * DAY_MS, maxAgeMs: 300_000 },
    clock,
    now: clock.now,
    log: openLog('info', (line) => (output += line)),
    onRead: () => undefined,
    onRotated: () => undefined,
  });
  t.teardown(keys.close);
  const listKids = () => keys.listPublic().map(({ kid }) => kid);
  return { clock, store, keys, old, next, listKids, readOutput: () => output };
}

void t.test('a slow read never replaces what a later read has found', async (t) => {
  const { clock, store, keys, old, next, listKids, readOutput } = await open(t);
  const first = keys.check();
  await setImmediate();
  store.replace([old, next]);
  const later = [keys.check(), keys.check()];
  await setImmediate();
  await store.answer();
  await first;
  await clock.advance(KEY_CHECK_MS);
  await store.answer();
  await Promise.all(later);
  t.strictSame(listKids(), [old.kid, next.kid]);
  t.notMatch(readOutput(), /withdrawn/);
  t.equal(store.readCount(), 3, 'the checks that wait share a read, and no timer starts another one');
});

void t.test('the next check is due so long after the end of the last one', async (t) => {
  const { clock, store, keys } = await open(t);
  await clock.advance(KEY_CHECK_MS - 1);
  t.equal(store.readCount(), 1);
  const checking = keys.check();
  await clock.advance(KEY_CHECK_MS);
  t.equal(store.readCount(), 2, 'not while one runs');
  await store.answer();
  await checking;
  await clock.advance(KEY_CHECK_MS - 1);
  t.equal(store.readCount(), 2);
  await clock.advance(1);
  t.equal(store.readCount(), 3);
  keys.close();
  await store.answer();
  await clock.advance(10 * KEY_CHECK_MS);
  t.equal(store.readCount(), 3, 'and none after the end');
});
