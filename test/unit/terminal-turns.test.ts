/** Processes take turns at prompting on one terminal, and a process that waits for a login leaves its prompt alone. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { acquireLock } from '../../src/plugin/cache/login-lock.ts';
import { makeTerminalTurns } from '../../src/plugin/cache/terminal-turns.ts';
import type { TerminalTurns } from '../../src/plugin/cache/terminal-turns.ts';
import type { TerminalIdentity } from '../../src/shared/base/process-identity.ts';
import { fakeHost } from '../support/fake-host.ts';
import { waitUntil } from '../support/wait-until.ts';

const uid = process.geteuid?.();
const KEY = 'a'.repeat(64);
const HERE: TerminalIdentity = { id: '34816', isForeground: true };

const makeTurns = (base: string, terminal: TerminalIdentity | undefined): TerminalTurns =>
  makeTerminalTurns(
    fakeHost({ uid, env: { CLIENT_KEYSTONE_AUTH_CACHE_DIR: `${base}/cache` }, identifyTerminal: () => terminal }),
  );

/** Makes a folder that only its user can access. */
function makeBase(t: Test): string {
  return t.testdir({});
}

void t.test('a second process on the terminal waits for its turn', async (t) => {
  const base = makeBase(t);
  const [first, second] = [makeTurns(base, HERE), makeTurns(base, HERE)];
  t.equal(await second.isTaken(), false);
  t.strictSame(readdirSync(base), [], 'to look creates nothing');
  const endFirst = await first.take();
  t.equal(await second.isTaken(), true);
  const order: string[] = [];
  const waiting = second.take().then((end) => {
    order.push('second');
    return end;
  });
  // Nothing tells when it has looked; if it has not, the order is the same.
  await sleep(50);
  order.push('first ends');
  endFirst();
  const endSecond = await waiting;
  t.strictSame(order, ['first ends', 'second']);
  t.equal(await first.isTaken(), true);
  endSecond();
  t.equal(await first.isTaken(), false);
});

void t.test('nobody waits for a prompt on another terminal, in the background, or one that is withdrawn', async (t) => {
  const base = makeBase(t);
  const end = await makeTurns(base, HERE).take();
  for (const terminal of [undefined, { ...HERE, id: '34817' }, { ...HERE, isForeground: false }]) {
    (await makeTurns(base, terminal).take())();
  }
  t.equal(await makeTurns(base, { ...HERE, id: '34817' }).isTaken(), false);
  const controller = new AbortController();
  const withdrawn = makeTurns(base, HERE).take(controller.signal);
  controller.abort();
  (await withdrawn)();
  t.equal(await makeTurns(base, HERE).isTaken(), true, 'what did not begin ends nothing');
  end();

  const endBackground = await makeTurns(base, { ...HERE, isForeground: false }).take();
  t.equal(await makeTurns(base, HERE).isTaken(), false, 'nobody can answer in the background');
  endBackground();
});

void t.test('a folder that cannot hold a lock keeps nobody from prompting', async (t) => {
  const base = t.testdir({ cache: 'a file' });
  const turns = makeTurns(base, HERE);
  const end = await turns.take();
  t.equal(await turns.isTaken(), false);
  end();
});

void t.test('while another process prompts, a wait for its login is silent and does not end', async (t) => {
  const folder = { path: makeBase(t), uid };
  const options = { maxWaitMs: 1_500, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };
  const release = await acquireLock(folder, KEY, options);
  let isPrompting = true;
  let questions = 0;
  let isAnnounced = false;
  const second = acquireLock(folder, KEY, {
    ...options,
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
  const start = performance.now();
  await waitUntil('more than the time of a wait', () => questions > 8 && performance.now() - start > 3_000);
  t.strictSame([isAnnounced, isOver], [false, false]);
  isPrompting = false;
  const releaseSecond = await second;
  t.equal(isAnnounced, true, 'without a prompt, it is said what is being waited for');
  t.ok(releaseSecond, 'it gets the lock');
  releaseSecond?.();
});
