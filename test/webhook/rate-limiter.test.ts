// The limits for requests to Keystone: which tokens go first, which wait, and which are turned away. Time is virtual, so
// that rates are exact.

import t from 'tap';
import { makeRateLimiter } from '../../src/webhook/authn/rate-limiter.ts';
import type { RateLimiter, Priority } from '../../src/webhook/authn/rate-limiter.ts';
import type { ValidToken } from '../../src/webhook/authn/validate-token.ts';
import { VerdictCache } from '../../src/webhook/authn/verdict-cache.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

type Changes = Partial<Parameters<typeof makeRateLimiter>[0]>;

function makeLimiter(changes: Changes = {}): { readonly limiter: RateLimiter; readonly clock: VirtualClock } {
  const clock = makeVirtualClock();
  return {
    clock,
    limiter: makeRateLimiter({
      concurrency: 2,
      tokensPerSecond: 10,
      maxQueueMs: changes.maxWaitMs ?? 200,
      maxWaitMs: 200,
      clock,
      ...changes,
    }),
  };
}

interface Counts {
  granted: number;
  refused: number;
}

/** Asks for turns, and counts how many are granted and refused from now on. */
function ask(
  limiter: RateLimiter,
  priority: Priority,
  attempts: number,
  counts: Counts = { granted: 0, refused: 0 },
): Counts {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    void limiter.acquire(priority).then((release) => (counts[release === undefined ? 'refused' : 'granted'] += 1));
  }
  return counts;
}

void t.test('concurrency is limited, and known tokens go first', async (t) => {
  const { limiter } = makeLimiter({ maxWaitMs: 1_000 });
  const [first, second] = [await limiter.acquire('new'), await limiter.acquire('suspicious')];
  const order: string[] = [];
  const wait = (priority: Priority): Promise<void> =>
    limiter.acquire(priority).then((release) => {
      order.push(priority);
      release?.();
    });
  const waits = [wait('suspicious'), wait('new'), wait('known')];
  t.equal(limiter.queueLength, 3);
  t.strictSame(order, []);
  first?.();
  first?.();
  await Promise.all(waits);
  t.strictSame(order, ['known', 'new', 'suspicious'], 'a second release has no effect');
  second?.();
});

void t.test('a second release of a turn does not free the turn of another token', async (t) => {
  const { limiter, clock } = makeLimiter();
  const [first] = [await limiter.acquire('known'), await limiter.acquire('known')];
  first?.();
  first?.();
  const waiting = ask(limiter, 'known', 2);
  await clock.advance(0);
  t.strictSame(waiting, { granted: 1, refused: 0 });
});

void t.test('a token that waits too long is turned away', async (t) => {
  const { limiter, clock } = makeLimiter();
  ask(limiter, 'known', 2);
  const waiting = ask(limiter, 'known', 1);
  await clock.advance(199);
  t.strictSame(waiting, { granted: 0, refused: 0 });
  await clock.advance(1);
  t.strictSame(waiting, { granted: 0, refused: 1 });
});

void t.test('a request that hangs blocks others for one second at most', async (t) => {
  const { limiter, clock } = makeLimiter({ maxWaitMs: 3_000 });
  ask(limiter, 'known', 2);
  const waiting = ask(limiter, 'known', 1);
  await clock.advance(999);
  t.strictSame(waiting, { granted: 0, refused: 0 });
  await clock.advance(1);
  t.strictSame(waiting, { granted: 1, refused: 0 });
});

void t.test('new tokens are limited to a rate after a burst', async (t) => {
  const { limiter, clock } = makeLimiter({ concurrency: 10_000 });
  const suspicious = ask(limiter, 'suspicious', 300);
  await clock.advance(0);
  t.strictSame(suspicious, { granted: 101, refused: 197 }, 'suspicious tokens cannot use all of the burst, and 2 wait');
  const fresh = ask(limiter, 'new', 300);
  await clock.advance(0);
  t.strictSame(fresh, { granted: 149, refused: 149 }, 'new tokens may use the rest of the burst, and 2 wait');
  t.equal(limiter.queueLength, 4);
  await clock.advance(200);
  t.strictSame(fresh, { granted: 150, refused: 150 }, 'those that wait have their turn at the rate, or give up');
  t.strictSame(suspicious, { granted: 101, refused: 199 }, 'new tokens go before suspicious ones');
  const late = ask(limiter, 'new', 300);
  await clock.advance(200);
  t.strictSame(late, { granted: 2, refused: 298 }, 'after the burst');
  const known = ask(limiter, 'known', 300);
  await clock.advance(0);
  t.strictSame(known, { granted: 300, refused: 0 }, 'known tokens are not limited');
});

for (const priority of ['new', 'suspicious'] as const) {
  void t.test(`a flood of ${priority} tokens never gets more than its rate`, async (t) => {
    const { limiter, clock } = makeLimiter({ concurrency: 10_000, tokensPerSecond: 15, maxWaitMs: 2_000 });
    const counts = ask(limiter, priority, 1_000);
    await clock.advance(0);
    t.ok(counts.granted <= 250, `a burst of ${counts.granted}`);
    for (let second = 1; second <= 60; second += 1) {
      const before = counts.granted;
      for (let round = 0; round < 10; round += 1) {
        ask(limiter, priority, 50, counts);
        await clock.advance(100);
      }
      const granted = counts.granted - before;
      t.ok(granted >= 14 && granted <= 16, `${granted} of 500 in second ${second}`);
    }
  });
}

void t.test('the least recently used verdicts leave the cache', async (t) => {
  const entity = { id: 'x', name: 'x' };
  const owner = { user: entity, userDomain: entity, project: entity, projectDomain: entity, roles: [] };
  const token: ValidToken = { kind: 'valid', owner, groups: [], expiresAt: Infinity, keystoneExpiresAt: Infinity };
  const cache = new VerdictCache({
    validTtlMs: 1_000,
    now: () => 0,
    monotonicMs: () => 0,
    maxSizes: { valid: 2, refused: 2 },
  });
  cache.store('a', token, 0);
  cache.store('b', token, 0);
  t.match(cache.read('a'), { kind: 'valid' });
  cache.store('c', token, 0);
  t.equal(cache.read('b'), undefined);
  t.strictSame(cache.sizes, { valid: 2, refused: 0 });
  cache.store('a', { kind: 'refused', cause: 'not-accepted', reason: 'revoked' }, 0);
  cache.store('unseen', { kind: 'unknown', reason: 'Keystone is down' }, 0);
  t.strictSame(cache.read('a'), { kind: 'refused', cause: 'not-accepted', reason: 'revoked' });
  t.equal(cache.wasValid('a'), false);
  t.match(cache.read('c'), { kind: 'valid' });
  t.equal(cache.read('unseen'), undefined);
});

void t.test('a verdict does not count for longer because the clock was set back', (t) => {
  const entity = { id: 'x', name: 'x' };
  const owner = { user: entity, userDomain: entity, project: entity, projectDomain: entity, roles: [] };
  let [time, elapsed] = [10_000_000, 0];
  const cache = new VerdictCache({ validTtlMs: 5_000, now: () => time, monotonicMs: () => elapsed });
  cache.store(
    'valid',
    { kind: 'valid', owner, groups: [], expiresAt: time + 3_600_000, keystoneExpiresAt: Infinity },
    elapsed,
  );
  cache.store('refused', { kind: 'refused', cause: 'not-accepted', reason: 'no' }, elapsed);
  time -= 3_600_000;
  elapsed += 4_999;
  t.match(cache.read('valid'), { kind: 'valid' });
  elapsed += 1;
  t.equal(cache.read('valid'), undefined, 'Keystone is asked again after 5 seconds');
  elapsed += 55_000;
  t.equal(cache.read('refused'), undefined, 'a refusal is forgotten after a minute');
  cache.store(
    'valid',
    { kind: 'valid', owner, groups: [], expiresAt: time + 60_000, keystoneExpiresAt: Infinity },
    elapsed,
  );
  time += 60_000;
  t.match(cache.read('valid'), { kind: 'refused', cause: 'expired' }, 'the end of the token counts too');
  t.end();
});

void t.test('clients take turns, so that one that sends many tokens does not keep the others waiting', async (t) => {
  const { limiter } = makeLimiter({ concurrency: 1, maxWaitMs: 10_000, tokensPerSecond: 1_000 });
  const running = await limiter.acquire('new', 'first');
  const order: string[] = [];
  const wait = (client: string): Promise<void> =>
    limiter.acquire('new', client).then((release) => {
      order.push(client);
      release?.();
    });
  const waits = ['noisy', 'noisy', 'noisy', 'noisy', 'quiet', 'quiet', 'other'].map(wait);
  running?.();
  await Promise.all(waits);
  t.strictSame(order, ['noisy', 'quiet', 'other', 'noisy', 'quiet', 'noisy', 'noisy']);
});

void t.test('a full queue has a place for another client, which the one with the most loses', async (t) => {
  // Two tokens can wait, and the burst is used up.
  const { limiter, clock } = makeLimiter({ concurrency: 1_000, maxQueueMs: 200, maxWaitMs: 1_000 });
  ask(limiter, 'new', 250);
  const outcomes: string[] = [];
  const wait = (name: string, client: string): void => {
    void limiter.acquire('new', client).then((release) => {
      outcomes.push(`${name} ${release === undefined ? 'refused' : 'granted'}`);
      release?.();
    });
  };
  wait('noisy 1', 'noisy');
  wait('noisy 2', 'noisy');
  wait('noisy 3', 'noisy');
  await clock.advance(0);
  t.strictSame(outcomes, ['noisy 3 refused'], 'it cannot displace itself');
  wait('quiet 1', 'quiet');
  await clock.advance(0);
  t.strictSame(outcomes.slice(1), ['noisy 2 refused'], 'the last one of the client with the most');
  wait('quiet 2', 'quiet');
  wait('other 1', 'other');
  await clock.advance(0);
  t.strictSame(outcomes.slice(2), ['quiet 2 refused', 'other 1 refused'], 'nobody has more than one');
  await clock.advance(200);
  t.strictSame(outcomes.slice(4), ['noisy 1 granted', 'quiet 1 granted']);
  t.equal(limiter.queueLength, 0);
});
