/** What the plugin reads from the body of a token, and which bodies it rejects. */
import t from 'tap';
import { Secret } from '../../src/shared/base/secret.ts';
import { listOfferedMethods, parseTimestamp, parseToken, parseTokenId } from '../../src/shared/keystone/token.ts';

const ID = new Secret('gAAAA-a-token');
const EXPIRES = { expires_at: '2026-11-26T12:00:00.000000Z' };

void t.test('a token has its details and the time of its expiry', async (t) => {
  const token = parseToken(ID, { token: { ...EXPIRES, user: { id: 'u1' } } });
  t.equal(token.id, ID);
  t.equal(token.expiresAt, Date.UTC(2026, 10, 26, 12));
  t.strictSame(token.details, { ...EXPIRES, user: { id: 'u1' } });
});

void t.test('a token has a scope if it is for a project, a domain, the system or a trust', async (t) => {
  const isScoped = (members: object): boolean => parseToken(ID, { token: { ...EXPIRES, ...members } }).isScoped;
  t.equal(isScoped({}), false);
  t.equal(isScoped({ user: {} }), false);
  t.equal(isScoped({ project: null }), false);
  for (const name of ['project', 'domain', 'system', 'OS-TRUST:trust']) t.equal(isScoped({ [name]: {} }), true, name);
});

void t.test('a body without a token is not from Keystone', async (t) => {
  for (const body of [undefined, {}, { token: null }, { token: 'text' }]) {
    t.throws(() => parseToken(ID, body), { code: 'not-keystone', hint: 'check OS_AUTH_URL' }, JSON.stringify(body));
  }
});

void t.test('a token must say when it expires', async (t) => {
  for (const expires of [undefined, '', 'tomorrow', 5]) {
    const read = (): unknown => parseToken(ID, { token: { expires_at: expires } });
    t.throws(read, { code: 'protocol', message: /without a readable expires_at/, hint: 'ask its operator' });
  }
});

void t.test('a header carries up to 16384 printable characters', async (t) => {
  t.equal(parseTokenId('x'.repeat(16_384)).reveal().length, 16_384);
  for (const text of ['', 'a b', 'a\nb', 'é', 'x'.repeat(16_385)]) {
    t.throws(() => parseTokenId(text), { code: 'protocol', hint: /16384 printable ASCII/ }, JSON.stringify(text));
  }
});

void t.test('only texts count as offered methods', async (t) => {
  t.strictSame(listOfferedMethods({ error: { identity: { methods: ['password', 5, null, 'token'] } } }), [
    'password',
    'token',
  ]);
  for (const body of [undefined, {}, { error: {} }, { error: { identity: {} } }]) {
    t.strictSame(listOfferedMethods(body), [], JSON.stringify(body));
  }
});

const at = (...parts: readonly [number, number, number, number?, number?, number?, number?]): number =>
  Date.UTC(...parts);

void t.test('spaces around a time do not matter', async (t) => {
  t.equal(parseTimestamp(' 2026-11-21T12:00:00Z\n'), at(2026, 10, 21, 12));
});

void t.test('text before or after a time makes it invalid', async (t) => {
  for (const text of [
    'x2026-11-21T12:00:00Z',
    '2026-11-21T12:00:00Zx',
    '2026-11-21T12:00:00+0',
    '2026-11-21T12:00:00.Z',
  ]) {
    t.equal(parseTimestamp(text), undefined, text);
  }
});

void t.test('each part of a time has its limits', async (t) => {
  t.equal(parseTimestamp('2026-11-21T23:59:59Z'), at(2026, 10, 21, 23, 59, 59));
  t.equal(parseTimestamp('2024-02-29T00:00:00Z'), at(2024, 1, 29));
  for (const text of [
    '2026-11-21T24:00:00Z',
    '2026-11-21T12:00:00+24:00',
    '2026-11-21T12:00:00+01:60',
    '2026-11-21T12:60:00Z',
    '2026-11-21T12:00:61Z',
    '2026-00-21T12:00:00Z',
    '2026-11-00T12:00:00Z',
    '2026-11-31T12:00:00Z',
    '2025-02-29T00:00:00Z',
  ]) {
    t.equal(parseTimestamp(text), undefined, text);
  }
});

void t.test('a fraction of a second has up to nine digits and is rounded down to ms', async (t) => {
  const second = at(2026, 10, 21, 12);
  for (const [fraction, ms] of [
    ['.9', 900],
    ['.0999', 99],
    ['.999999999', 999],
  ] as const) {
    t.equal(parseTimestamp(`2026-11-21T12:00:00${fraction}Z`), second + ms, fraction);
  }
  t.equal(parseTimestamp('2026-11-21T12:00:00.1234567890Z'), undefined);
});

void t.test('the hours and minutes of a zone count, with their sign', async (t) => {
  const noon = at(2026, 10, 21, 12);
  for (const text of [
    '2026-11-21T17:45:00+05:45',
    '2026-11-21T17:45:00+0545',
    '2026-11-21T08:30:00-03:30',
    '2026-11-21T23:00:00+11:00',
    '2026-11-21T00:00:00-12:00',
  ]) {
    t.equal(parseTimestamp(text), noon, text);
  }
});
