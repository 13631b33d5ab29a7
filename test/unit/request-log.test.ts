// The limit of the lines that clients cause.

import t from 'tap';
import type { Test } from 'tap';
import { openLog } from '../../src/webhook/observability/log.ts';
import { CLIENT_LIMIT, makeRequestLog, SUMMARY_MS, TOTAL_LIMIT } from '../../src/webhook/server/request-log.ts';
import type { RequestLine } from '../../src/webhook/server/request-log.ts';
import { makeVirtualClock } from '../support/virtual-clock.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

const SUMMARY = 'there were too many lines about requests; these were left out';

interface Fixture {
  readonly clock: VirtualClock;
  /** Writes that many lines. */
  readonly write: (client: string | undefined, count: number, message?: string) => void;
  readonly count: (text: string) => number;
  readonly lines: readonly string[];
  readonly close: () => void;
}

function setUp(t: Test): Fixture {
  const [clock, lines] = [makeVirtualClock(), [] as string[]];
  const log = makeRequestLog(
    openLog('info', (line) => lines.push(line)),
    clock,
  );
  t.teardown(log.close);
  return {
    clock,
    lines,
    close: log.close,
    write(client, count, message = 'token refused') {
      const line: RequestLine = { level: 'info', client, fields: { client }, message };
      for (let written = 0; written < count; written += 1) log.write(line);
    },
    count: (text) => lines.filter((line) => line.includes(text)).length,
  };
}

void t.test('a client fills its own part of the log, and what is left out is counted each minute', async (t) => {
  const { clock, write, count, lines } = setUp(t);
  write('192.0.2.1', 1_000);
  t.equal(count('192.0.2.1'), CLIENT_LIMIT.burst);
  write('192.0.2.2', 3);
  t.equal(count('192.0.2.2'), 3, 'others are not affected');
  await clock.advance(SUMMARY_MS - 1);
  t.equal(count(SUMMARY), 0);
  await clock.advance(1);
  t.equal(count(SUMMARY), 1);
  t.match(JSON.parse(lines.at(-1) ?? ''), {
    level: 'warn',
    leftOut: { 'token refused': 1_000 - CLIENT_LIMIT.burst },
    msg: SUMMARY,
  });
  write('192.0.2.1', 1_000, 'other');
  t.equal(count('"msg":"other"'), CLIENT_LIMIT.burst, 'there is room again');
  await clock.advance(10 * SUMMARY_MS);
  t.equal(count(SUMMARY), 2, 'and no word while nothing is left out');
});

void t.test('the addresses of one network are one client, and many networks share the limit in all', async (t) => {
  const { clock, write, count } = setUp(t);
  for (let host = 1; host <= 50; host += 1) write(`2001:db8::${host.toString(16)}`, 10);
  t.equal(count('2001:db8'), CLIENT_LIMIT.burst);
  for (let network = 1; network <= 5_000; network += 1) write(`10.0.${network >> 8}.${network & 255}`, 2);
  t.equal(count('token refused"'), TOTAL_LIMIT.burst);
  write(undefined, 1);
  t.equal(count('token refused"'), TOTAL_LIMIT.burst);
  await clock.advance(1_000);
  for (let network = 1; network <= 5_000; network += 1) write(`10.1.${network >> 8}.${network & 255}`, 2);
  t.equal(count('token refused"'), TOTAL_LIMIT.burst + TOTAL_LIMIT.perSecond);
});

void t.test('a flood of a day fits on every disk', async (t) => {
  const { clock, write, lines } = setUp(t);
  for (let minute = 0; minute < 60; minute += 1) {
    for (let network = 0; network < 2_000; network += 1) write(`10.${minute}.${network >> 8}.${network & 255}`, 1);
    await clock.advance(60_000);
  }
  const limit = TOTAL_LIMIT.burst + (TOTAL_LIMIT.perSecond + 1 / 60) * 3_600;
  t.ok(lines.length <= limit, `${lines.length} lines in an hour`);
});

void t.test('at the end, the log says what was left out', (t) => {
  const { write, close, count, clock } = setUp(t);
  write('192.0.2.1', CLIENT_LIMIT.burst);
  close();
  t.equal(count(SUMMARY), 0);
  write('192.0.2.1', 2);
  close();
  t.equal(count('"leftOut":{"token refused":2}'), 1);
  return clock.advance(SUMMARY_MS).then(() => {
    t.equal(count(SUMMARY), 1, 'once');
  });
});
