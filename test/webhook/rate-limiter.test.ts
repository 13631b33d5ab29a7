// The narrow way to Keystone: who goes first, who waits, who is sent away.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { makeRateLimiter } from '../../src/webhook/authn/rate-limiter.ts';
import type { RateLimiter, Priority } from '../../src/webhook/authn/rate-limiter.ts';
import { Lru } from '../../src/webhook/authn/lru.ts';

const open = (changes: Partial<Parameters<typeof makeRateLimiter>[0]> = {}): RateLimiter =>
  makeRateLimiter({ concurrency: 2, tokensPerSecond: 10, maxWaitMs: 200, now: () => performance.now(), ...changes });

void t.test('so many at a time, the known first', async (t) => {
  const gate = open({ maxWaitMs: 1_000 });
  const [one, two] = [await gate.acquire('new'), await gate.acquire('odd')];
  const order: string[] = [];
  const wait = (lane: Priority): Promise<void> =>
    gate.acquire(lane).then((leave) => {
      order.push(lane);
      leave?.();
    });
  const waiting = [wait('odd'), wait('new'), wait('known')];
  await sleep(20);
  t.equal(gate.queueLength, 3);
  t.strictSame(order, []);
  one?.();
  one?.();
  await Promise.all(waiting);
  t.strictSame(order, ['known', 'new', 'odd'], 'and leaving twice is leaving once');
  two?.();
});

void t.test('who waits too long is sent away', async (t) => {
  const gate = open();
  await gate.acquire('known');
  await gate.acquire('known');
  const startedAt = performance.now();
  t.equal(await gate.acquire('known'), undefined);
  t.ok(performance.now() - startedAt > 150);
});

void t.test('who hangs does not keep others out for more than a second', async (t) => {
  const gate = open({ maxWaitMs: 3_000 });
  await gate.acquire('known');
  await gate.acquire('known');
  const startedAt = performance.now();
  t.ok(await gate.acquire('known'));
  const waited = performance.now() - startedAt;
  t.ok(waited > 900 && waited < 2_000, `${Math.round(waited)} ms`);
});

void t.test('strangers are let in at a rate, after a rush', async (t) => {
  const gate = open({ concurrency: 1_000 });
  const count = async (lane: Priority, many: number): Promise<number> => {
    const all = await Promise.all(Array.from({ length: many }, () => gate.acquire(lane)));
    return all.filter((leave) => leave !== undefined).length;
  };
  const odd = await count('odd', 300);
  t.ok(odd > 90 && odd < 120, `${odd} odd ones`);
  const strangers = await count('new', 300);
  t.ok(strangers > 140 && strangers < 170, `${strangers} new ones have more`);
  const late = await count('new', 300);
  t.ok(late < 20, `${late} are let in when the rush is over`);
  t.equal(await count('known', 300), 300, 'the known are not counted');
});

void t.test('what was used last stays', async (t) => {
  const lru = new Lru<number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  t.equal(lru.get('a'), 1);
  lru.set('c', 3);
  t.equal(lru.get('b'), undefined);
  t.equal(lru.size, 2);
  lru.delete('a');
  lru.delete('nobody');
  t.equal(lru.get('a'), undefined);
  t.equal(lru.get('c'), 3);
});
