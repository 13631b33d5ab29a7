// The limits for requests to Keystone: which tokens go first, which wait, and which are turned away.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { makeRateLimiter } from '../../src/webhook/authn/rate-limiter.ts';
import type { RateLimiter, Priority } from '../../src/webhook/authn/rate-limiter.ts';
import type { ValidToken } from '../../src/webhook/authn/validate-token.ts';
import { VerdictCache } from '../../src/webhook/authn/verdict-cache.ts';

const makeLimiter = (changes: Partial<Parameters<typeof makeRateLimiter>[0]> = {}): RateLimiter =>
  makeRateLimiter({ concurrency: 2, tokensPerSecond: 10, maxWaitMs: 200, now: () => performance.now(), ...changes });

void t.test('concurrency is limited, and known tokens go first', async (t) => {
  const limiter = makeLimiter({ maxWaitMs: 1_000 });
  const [first, second] = [await limiter.acquire('new'), await limiter.acquire('suspicious')];
  const order: string[] = [];
  const wait = (priority: Priority): Promise<void> =>
    limiter.acquire(priority).then((release) => {
      order.push(priority);
      release?.();
    });
  const waits = [wait('suspicious'), wait('new'), wait('known')];
  await sleep(20);
  t.equal(limiter.queueLength, 3);
  t.strictSame(order, []);
  first?.();
  first?.();
  await Promise.all(waits);
  t.strictSame(order, ['known', 'new', 'suspicious'], 'a second release has no effect');
  second?.();
});

void t.test('a token that waits too long is turned away', async (t) => {
  const limiter = makeLimiter();
  await limiter.acquire('known');
  await limiter.acquire('known');
  const startedAt = performance.now();
  t.equal(await limiter.acquire('known'), undefined);
  t.ok(performance.now() - startedAt > 150);
});

void t.test('a hanging request blocks others for one second at most', async (t) => {
  const limiter = makeLimiter({ maxWaitMs: 3_000 });
  await limiter.acquire('known');
  await limiter.acquire('known');
  const startedAt = performance.now();
  t.ok(await limiter.acquire('known'));
  const waitedMs = performance.now() - startedAt;
  t.ok(waitedMs > 900 && waitedMs < 2_000, `${Math.round(waitedMs)} ms`);
});

void t.test('new tokens are limited to a rate after a burst', async (t) => {
  const limiter = makeLimiter({ concurrency: 1_000 });
  const count = async (priority: Priority, attempts: number): Promise<number> => {
    const all = await Promise.all(Array.from({ length: attempts }, () => limiter.acquire(priority)));
    return all.filter((release) => release !== undefined).length;
  };
  const suspiciousCount = await count('suspicious', 300);
  t.ok(suspiciousCount > 90 && suspiciousCount < 120, `${suspiciousCount} suspicious tokens`);
  const newCount = await count('new', 300);
  t.ok(newCount > 140 && newCount < 170, `${newCount} new tokens, which may use more of the burst`);
  const lateCount = await count('new', 300);
  t.ok(lateCount < 20, `${lateCount} new tokens after the burst`);
  t.equal(await count('known', 300), 300, 'known tokens are not limited');
});

void t.test('the least recently used verdicts leave the cache', async (t) => {
  const entity = { id: 'x', name: 'x' };
  const owner = { user: entity, userDomain: entity, project: entity, projectDomain: entity, roles: [] };
  const token: ValidToken = { kind: 'valid', owner, groups: [], expiresAt: Infinity };
  const cache = new VerdictCache({ validTtlMs: 1_000, now: () => 0, maxSizes: { valid: 2, refused: 2 } });
  cache.store('a', token);
  cache.store('b', token);
  t.match(cache.read('a'), { kind: 'valid' });
  cache.store('c', token);
  t.equal(cache.read('b'), undefined);
  t.strictSame(cache.sizes, { valid: 2, refused: 0 });
  cache.store('a', { kind: 'refused', reason: 'revoked' });
  cache.store('unseen', { kind: 'unknown', reason: 'Keystone is down' });
  t.strictSame(cache.read('a'), { kind: 'refused', reason: 'revoked' });
  t.equal(cache.wasValid('a'), false);
  t.match(cache.read('c'), { kind: 'valid' });
  t.equal(cache.read('unseen'), undefined);
});
