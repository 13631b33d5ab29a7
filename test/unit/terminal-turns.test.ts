/** The processes of a job take turns at prompting, and one that waits for a login leaves the prompt of another one alone. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { acquireLock } from '../../src/plugin/cache/login-lock.ts';
import { prune } from '../../src/plugin/cache/prune.ts';
import { makeTerminalTurns } from '../../src/plugin/cache/terminal-turns.ts';
import type { TerminalTurns } from '../../src/plugin/cache/terminal-turns.ts';
import { fakeHost } from '../support/fake-host.ts';
import { waitUntil } from '../support/wait-until.ts';

const uid = process.geteuid?.();
const KEY = 'a'.repeat(64);
const JOB = '34816-4711';
const NOW = Date.UTC(2100, 0, 1);
const HOUR = 3_600_000;

/** Makes the turns of a process of its own. */
const makeTurns = (base: string, job: string | undefined = JOB): TerminalTurns =>
  makeTerminalTurns(
    fakeHost({
      uid,
      env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: join(base, 'cache') },
      identifyJob: () => (job === '' ? undefined : job),
      now: () => NOW,
    }),
  );

void t.test('a second process of a job waits until the first one ends', async (t) => {
  const base = t.testdir({});
  const [first, second] = [makeTurns(base), makeTurns(base)];
  t.equal(await second.isTaken(), false);
  t.strictSame(readdirSync(base), [], 'to look creates nothing');
  await first.take();
  await first.take();
  t.strictSame([await first.isTaken(), await second.isTaken()], [false, true]);
  const order: string[] = [];
  const waiting = second.take().then(() => order.push('second'));
  // Nothing tells when it has looked; if it has not, the order is the same.
  await sleep(50);
  order.push('first ends');
  first.end();
  await waiting;
  t.strictSame(order, ['first ends', 'second']);
  t.equal(await first.isTaken(), true);
  second.end();
  t.equal(await first.isTaken(), false);
});

void t.test('nobody waits for a prompt of another job, or for one that is withdrawn', async (t) => {
  const base = t.testdir({});
  await makeTurns(base).take();
  for (const job of ['', '34816-4712', '34817-4711']) {
    const other = makeTurns(base, job);
    t.equal(await other.isTaken(), false, job);
    await other.take();
  }
  const controller = new AbortController();
  const withdrawn = makeTurns(base);
  const waiting = withdrawn.take(controller.signal);
  controller.abort();
  await waiting;
  withdrawn.end();
  t.equal(await makeTurns(base).isTaken(), true, 'what did not begin ends nothing');
});

void t.test('the file of a lock is removed after a day', async (t) => {
  const base = t.testdir({});
  const turns = makeTurns(base);
  await turns.take();
  const folder = { path: join(base, 'cache'), uid };
  prune(folder, NOW + 23 * HOUR);
  t.strictSame(readdirSync(folder.path), [`terminal-${JOB}.lock`]);
  prune(folder, NOW + 25 * HOUR);
  t.strictSame(readdirSync(folder.path), []);
  turns.end();
});

void t.test('a folder that cannot hold a lock keeps nobody from prompting', async (t) => {
  const turns = makeTurns(t.testdir({ cache: 'a file' }));
  await turns.take();
  t.equal(await turns.isTaken(), false);
  turns.end();
});

/** Replaces the monotonic clock until the end of a test: a busy machine must not let time pass. */
function stopMonotonicClock(t: Test): { nowMs: number } {
  const clock = { nowMs: 0 };
  t.intercept(performance, 'now', { value: () => clock.nowMs });
  return clock;
}

void t.test('while another process prompts, a wait for its login is silent and does not end', async (t) => {
  const clock = stopMonotonicClock(t);
  const folder = { path: t.testdir({}), uid };
  const options = { maxWaitMs: 1_500, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };
  const release = await acquireLock(folder, KEY, options);
  let isPrompting = true;
  let questions = 0;
  let isAnnounced = false;
  let looks = 0;
  const second = acquireLock(folder, KEY, {
    ...options,
    isNoLongerNeeded: () => {
      looks += 1;
      return Promise.resolve(false);
    },
    onLongWait: () => {
      isAnnounced = true;
      release?.();
    },
    isPrompting: () => {
      questions += 1;
      return Promise.resolve(isPrompting);
    },
  });
  let isOver = false;
  void second.then(() => (isOver = true));
  /** Lets the wait see a later time. */
  const passTo = async (ms: number): Promise<void> => {
    clock.nowMs = ms;
    const before = looks;
    await waitUntil('the wait has looked', () => looks > before + 1);
  };
  // The wait begins with its first look.
  await passTo(0);
  // More than the time of a wait, and then again.
  for (const ms of [1_200, 2_400, 10_000]) await passTo(ms);
  t.strictSame([isAnnounced, isOver], [false, false]);
  t.ok(questions > 2, 'it has asked whether somebody prompts');
  isPrompting = false;
  // A person notices the rest of the wait.
  await passTo(10_000);
  clock.nowMs = 11_200;
  const releaseSecond = await second;
  t.equal(isAnnounced, true, 'without a prompt, it is said what is being waited for');
  t.ok(releaseSecond, 'it gets the lock');
  releaseSecond?.();
});
