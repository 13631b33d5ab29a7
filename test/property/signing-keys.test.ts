/** The schedule of the signing keys, with replicas whose clocks differ and who read the store late. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  computeLeadMs,
  findSigningKey,
  hasWaitingKey,
  isRotationDue,
  KEY_CHECK_MS,
  listPublishedKeys,
  MAX_TOKEN_LIFETIME_MS,
} from '../../src/webhook/issuer/key-schedule.ts';
import { checkProperty } from '../support/property.ts';

const MINUTE_MS = 60_000;
const STEP_MS = 2 * MINUTE_MS;
const DURATION_MS = 12 * 60 * MINUTE_MS;

/** How far each clock is off, at most; together with the late reads, that is nearly what the schedule allows for. */
const SKEW_MS = MINUTE_MS;

interface Key {
  readonly kid: number;
  readonly algorithm: 'ES256';
  readonly createdAt: number;
  readonly signsFrom: number;
}

interface Replica {
  readonly skewMs: number;
  keys: readonly Key[];
}

const settings = fc.record({
  skews: fc.array(fc.integer({ min: -SKEW_MS, max: SKEW_MS }), { minLength: 1, maxLength: 3 }),
  rotationMs: fc.integer({ min: 60 * MINUTE_MS, max: 300 * MINUTE_MS }),
  maxAgeMs: fc.integer({ min: 1_000, max: 60 * MINUTE_MS }),
  manualRotations: fc.array(fc.integer({ min: 0, max: DURATION_MS / STEP_MS }), { maxLength: 6 }),
});

void t.test('every verifier knows the key of a valid token, however old its list of keys may be', async (t) => {
  const property = fc.property(settings, ({ skews, rotationMs, maxAgeMs, manualRotations }) => {
    const rotation = { algorithm: 'ES256', rotationMs, maxAgeMs } as const;
    let store: readonly Key[] = [{ kid: 0, algorithm: 'ES256', createdAt: 0, signsFrom: 0 }];
    let kid = 0;
    const replicas: Replica[] = skews.map((skewMs) => ({ skewMs, keys: store }));
    const rotate = (now: number): void => {
      kid += 1;
      const key = { kid, algorithm: 'ES256', createdAt: now, signsFrom: now + computeLeadMs(rotation) } as const;
      store = [...listPublishedKeys(store, now), key];
    };
    /** What any replica has published, by time. */
    const lists: { readonly at: number; readonly kids: ReadonlySet<number> }[] = [];
    const tokens: { readonly at: number; readonly kid: number }[] = [];
    for (let step = 0; step * STEP_MS <= DURATION_MS; step += 1) {
      const at = step * STEP_MS;
      if (manualRotations.includes(step) && !hasWaitingKey(store, at)) rotate(at);
      for (const replica of replicas) {
        const now = at + replica.skewMs;
        // It signs and publishes with what it has read before, up to KEY_CHECK_MS ago and more.
        const signing = findSigningKey(replica.keys, now);
        assert.ok(signing);
        tokens.push({ at, kid: signing.kid });
        lists.push({ at, kids: new Set(listPublishedKeys(replica.keys, now).map((key) => key.kid)) });
        replica.keys = store;
        if (isRotationDue(store, now, rotation)) {
          rotate(now);
          replica.keys = store;
        }
      }
    }
    for (const token of tokens) {
      const end = token.at + MAX_TOKEN_LIFETIME_MS;
      for (const { at, kids } of lists) {
        // A verifier that meets the token at its end may have read the list just now, or up to `maxAgeMs` before.
        if (at >= token.at - maxAgeMs && at <= end)
          assert.ok(kids.has(token.kid), JSON.stringify({ token, at, kids: [...kids] }));
      }
    }
  });
  t.ok(KEY_CHECK_MS < STEP_MS, 'replicas read the store later here than they do');
  await checkProperty(t, property, 40);
});
