/** Timestamps of Keystone, and those of the ExecCredential, for every instant that they can express. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { API_VERSIONS, renderExecCredential } from '../../src/plugin/exec/exec-credential.ts';
import { parseTimestamp } from '../../src/shared/keystone/token.ts';
import { checkProperty } from '../support/property.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

const isLeapYear = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

const daysInMonth = (year: number, month: number): number =>
  [31, isLeapYear(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;

/** Counts the days since 1 January 1970, year by year and month by month, without `Date`. */
function countDays(year: number, month: number, day: number): number {
  let days = day - 1;
  for (let earlier = 1; earlier < month; earlier += 1) days += daysInMonth(year, earlier);
  for (let earlier = 1970; earlier < year; earlier += 1) days += isLeapYear(earlier) ? 366 : 365;
  for (let later = year; later < 1970; later += 1) days -= isLeapYear(later) ? 366 : 365;
  return days;
}

/** The parts of a timestamp, as they are written. */
interface Parts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** Digits after the decimal point; empty for none. */
  readonly fraction: string;
  /** Minutes east of UTC; undefined for a time without a zone. */
  readonly offset: number | undefined;
}

/** How a timestamp is written. */
interface Notation {
  readonly separator: string;
  readonly zuluForUtc: boolean;
  readonly colonInOffset: boolean;
}

const pad = (value: number, length = 2): string => String(value).padStart(length, '0');

function writeOffset(offset: number | undefined, { zuluForUtc, colonInOffset }: Notation): string {
  if (offset === undefined) return '';
  if (offset === 0 && zuluForUtc) return 'Z';
  const minutes = Math.abs(offset);
  const colon = colonInOffset ? ':' : '';
  return `${offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}${colon}${pad(minutes % 60)}`;
}

function write(parts: Parts, notation: Notation): string {
  const { year, month, day, hour, minute, second, fraction, offset } = parts;
  const date = `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
  const time = `${pad(hour)}:${pad(minute)}:${pad(second)}${fraction === '' ? '' : `.${fraction}`}`;
  return date + notation.separator + time + writeOffset(offset, notation);
}

/** Computes ms since 1970, UTC. */
function computeInstant({ year, month, day, hour, minute, second, fraction, offset = 0 }: Parts): number {
  const minutes = hour * 60 + minute - offset;
  const ms = Number(fraction.padEnd(3, '0').slice(0, 3));
  return countDays(year, month, day) * DAY_MS + minutes * MINUTE_MS + second * 1_000 + ms;
}

const fractions = fc.string({ unit: fc.constantFrom(...Array.from('0123456789')), maxLength: 9 });
const offsets = fc.option(fc.integer({ min: -1_439, max: 1_439 }), { nil: undefined });
const years = fc.oneof(fc.integer({ min: 1900, max: 2200 }), fc.integer({ min: 0, max: 9_999 }));

const dates = fc
  .tuple(years, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 31 }))
  .map(([year, month, day]) => ({ year, month, day: Math.min(day, daysInMonth(year, month)) }));

const times = fc.record({
  hour: fc.integer({ min: 0, max: 23 }),
  minute: fc.integer({ min: 0, max: 59 }),
  second: fc.integer({ min: 0, max: 59 }),
  fraction: fractions,
  offset: offsets,
});

const validParts: fc.Arbitrary<Parts> = fc.tuple(dates, times).map(([date, time]) => ({ ...date, ...time }));

const notations: fc.Arbitrary<Notation> = fc.record({
  separator: fc.constantFrom('T', ' '),
  zuluForUtc: fc.boolean(),
  colonInOffset: fc.boolean(),
});

void t.test('a timestamp is the instant that its parts say, whatever its zone and its fraction', async (t) => {
  const property = fc.property(validParts, notations, (parts, notation) => {
    assert.equal(parseTimestamp(write(parts, notation)), computeInstant(parts));
  });
  await checkProperty(t, property, 3_000);
});

void t.test('of two timestamps in any zones, the later one has the larger value', async (t) => {
  const property = fc.property(validParts, validParts, notations, (first, second, notation) => {
    const [a = NaN, b = NaN] = [first, second].map((parts) => parseTimestamp(write(parts, notation)));
    assert.equal(Math.sign(a - b), Math.sign(computeInstant(first) - computeInstant(second)));
  });
  await checkProperty(t, property, 1_000);
});

void t.test('a leap second is the second after it, and exists only at the end of a month in UTC', async (t) => {
  const property = fc.property(validParts, notations, fc.boolean(), ({ offset, ...parts }, notation, isAtMonthEnd) => {
    const utc: Parts = isAtMonthEnd
      ? { ...parts, day: daysInMonth(parts.year, parts.month), hour: 23, minute: 59, second: 60, offset: 0 }
      : { ...parts, second: 60, offset: 0 };
    const exists = utc.hour === 23 && utc.minute === 59 && utc.day === daysInMonth(utc.year, utc.month);
    assert.equal(parseTimestamp(write(utc, notation)), exists ? computeInstant(utc) : undefined);
    if (offset === undefined) return;
    // The same moment in another zone: shift the minute before it, and write 60 there.
    const local = shift({ ...utc, second: 59, fraction: '' }, offset);
    if (local === undefined) return;
    const expected = exists ? computeInstant({ ...utc, fraction: '' }) : undefined;
    assert.equal(parseTimestamp(write({ ...local, second: 60 }, notation)), expected);
  });
  await checkProperty(t, property, 1_500);
});

/** Writes a time in UTC as the same instant in another zone; undefined if that needs another year. */
function shift(utc: Parts, offset: number): Parts | undefined {
  const minutes = utc.hour * 60 + utc.minute + offset;
  const dayShift = Math.floor(minutes / 1_440);
  const ofDay = minutes - dayShift * 1_440;
  let { month, day } = utc;
  day += dayShift;
  if (day < 1) {
    month -= 1;
    day = daysInMonth(utc.year, month);
  } else if (day > daysInMonth(utc.year, month)) {
    month += 1;
    day = 1;
  }
  if (month < 1 || month > 12) return undefined;
  return { ...utc, month, day, hour: Math.floor(ofDay / 60), minute: ofDay % 60, offset };
}

const wrongParts = fc
  .tuple(validParts, fc.constantFrom('month', 'day', 'hour', 'minute', 'second', 'offset'), fc.nat({ max: 999 }))
  .map(([parts, name, extra]): Parts => {
    const wrong = {
      month: { month: extra % 2 === 0 ? 0 : 13 + (extra % 87) },
      day: {
        day: extra % 2 === 0 ? 0 : Math.min(99, daysInMonth(parts.year, parts.month) + 1 + (extra % 60)),
      },
      hour: { hour: 24 + (extra % 76) },
      minute: { minute: 60 + (extra % 40) },
      second: { second: 61 + (extra % 39) },
      // A day or more.
      offset: { offset: 24 * 60 + (extra % (76 * 60)) },
    };
    return { ...parts, ...wrong[name] };
  });

void t.test('a part that is out of range is never accepted', async (t) => {
  const property = fc.property(wrongParts, notations, (parts, notation) => {
    assert.equal(parseTimestamp(write(parts, notation)), undefined);
  });
  await checkProperty(t, property, 2_000);
});

/** The form of a timestamp, written down a second time. */
const FORM = /^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-5][0-9])?$/;

const ANYTHING = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('', 'null', '0', '1790000000'));

/** A timestamp with a piece that was removed, repeated or replaced. */
const damaged = fc
  .tuple(validParts, notations, fc.nat({ max: 40 }), fc.nat({ max: 3 }), fc.string({ unit: 'binary', maxLength: 3 }))
  .map(([parts, notation, at, length, insertion]) => {
    const text = write(parts, notation);
    return text.slice(0, at) + insertion + text.slice(at + length);
  });

void t.test('text that is not a timestamp is never accepted', async (t) => {
  const property = fc.property(fc.oneof(damaged, ANYTHING), (text) => {
    if (!FORM.test(text.trim())) assert.equal(parseTimestamp(text), undefined);
  });
  await checkProperty(t, property, 4_000);
});

const tokens = fc.oneof(fc.base64String({ minLength: 1 }), fc.string({ minLength: 1, unit: 'binary' }));
const FIRST_MS = Date.UTC(1970, 0, 1);
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

void t.test('an ExecCredential is one line with the token, and ends at most a second before the token', async (t) => {
  const instants = fc.integer({ min: FIRST_MS, max: LAST_MS });
  const property = fc.property(fc.constantFrom(...API_VERSIONS), tokens, instants, (apiVersion, token, expiresAt) => {
    const text = renderExecCredential(apiVersion, token, expiresAt);
    assert.match(text, /^[^\n]*\n$/);
    const document = JSON.parse(text) as { status: { token: string; expirationTimestamp: string } };
    assert.equal(document.status.token, token);
    // RFC 3339 with whole seconds, which is what client-go parses.
    assert.match(document.status.expirationTimestamp, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/);
    const left = expiresAt - (parseTimestamp(document.status.expirationTimestamp) ?? NaN);
    assert.ok(left >= 0 && left < 1_000, String(left));
  });
  await checkProperty(t, property, 1_500);
});
