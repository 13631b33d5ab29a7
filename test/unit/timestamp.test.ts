import t from 'tap';
import { parseTimestamp } from '../../src/shared/keystone/token.ts';

const noon = Date.UTC(2026, 10, 21, 12, 0, 0);

void t.test('every format that Keystone has used is parsed', async (t) => {
  t.equal(parseTimestamp('2026-11-21T12:00:00.000000Z'), noon);
  t.equal(parseTimestamp('2026-11-21T12:00:00Z'), noon);
  t.equal(parseTimestamp('2026-11-21T12:00:00.123456Z'), noon + 123);
  t.equal(parseTimestamp('2026-11-21T12:00:00+00:00'), noon);
  t.equal(parseTimestamp('2026-11-21T14:00:00+02:00'), noon);
  t.equal(parseTimestamp('2026-11-21T06:30:00-0530'), noon);
  t.equal(parseTimestamp('2026-11-21 12:00:00Z'), noon);
});

void t.test('a time without a zone is UTC in every local time zone', async (t) => {
  t.equal(parseTimestamp('2026-11-21T12:00:00.000000'), noon);
  t.equal(parseTimestamp('2026-03-29T02:30:00'), Date.UTC(2026, 2, 29, 2, 30), 'an hour that does not exist in Berlin');
});

void t.test('a leap second counts as the next second', async (t) => {
  t.equal(parseTimestamp('2026-12-31T23:59:60Z'), Date.UTC(2027, 0, 1));
  t.equal(parseTimestamp('2026-12-31T15:59:60-08:00'), Date.UTC(2027, 0, 1), 'in another zone');
});

void t.test('a year below 100 is not one of the last century', async (t) => {
  t.equal(parseTimestamp('0050-01-01T00:00:00Z'), new Date('0050-01-01T00:00:00Z').getTime());
});

void t.test('invalid times are rejected', async (t) => {
  for (const text of [
    '',
    'null',
    '2026-13-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-11-21',
    '1790000000',
    '2026-11-21T12:61:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T12:00:00+24:00',
    '2026-11-21T12:00:00+01:60',
    '2026-11-21T12:00:60Z',
  ]) {
    t.equal(parseTimestamp(text), undefined, text);
  }
});
