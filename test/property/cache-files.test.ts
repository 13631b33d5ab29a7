/** The files of the cache: what was written is read again, and a damaged or renamed file is not read at all. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { parseFileName } from '../../src/plugin/cache/file-names.ts';
import {
  aliasFileName,
  metadataFileName,
  refusalFileName,
  savedSecretFileName,
  tokenFileName,
} from '../../src/plugin/cache/file-names.ts';
import {
  isFresh,
  parseAlias,
  parseRecord,
  serializeAlias,
  serializeRecord,
} from '../../src/plugin/cache/token-record.ts';
import type { Alias, TokenRecord } from '../../src/plugin/cache/token-record.ts';
import { API_VERSIONS } from '../../src/plugin/exec/exec-credential.ts';
import { checkProperty } from '../support/property.ts';

const keys = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: 64, maxLength: 64 });
const names = fc.string({ unit: 'binary', maxLength: 20 });
const instants = fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) });

const records: fc.Arbitrary<TokenRecord> = fc
  .record({
    token: fc.base64String({ minLength: 1 }),
    receivedAt: instants,
    expiresAt: instants,
    endpoint: fc.option(fc.webUrl(), { nil: undefined }),
    refresh: fc.option(names, { nil: undefined }),
  })
  .map(({ refresh, ...record }) => ({ ...record, ...(refresh === undefined ? {} : { refresh }) }));

const stamps = fc.record({ path: names, stamp: names }, { noNullPrototype: true });

const aliases: fc.Arbitrary<Alias> = fc.record(
  {
    key: keys,
    apiVersion: fc.constantFrom(undefined, ...API_VERSIONS),
    files: fc.array(stamps, { maxLength: 4 }),
  },
  { noNullPrototype: true },
);

void t.test('a record and an alias are read as they were written, under their own name only', async (t) => {
  const property = fc.property(keys, keys, records, aliases, (key, otherKey, record, alias) => {
    assert.deepEqual(parseRecord(key, serializeRecord(key, record)), record);
    assert.deepEqual(parseAlias(key, serializeAlias(key, alias)), alias);
    if (key === otherKey) return;
    assert.equal(parseRecord(otherKey, serializeRecord(key, record)), undefined);
    assert.equal(parseAlias(otherKey, serializeAlias(key, alias)), undefined);
  });
  await checkProperty(t, property, 500);
});

/** What a disk, a full disk or a stray program can do to a file. */
type Damage = (bytes: Buffer, at: number, value: number) => Buffer;

const DAMAGES: Readonly<Record<string, Damage>> = {
  'a flipped bit': (bytes, at, value) => bytes.fill((bytes[at] ?? 0) ^ (1 << (value % 8)), at, at + 1),
  'another byte': (bytes, at, value) => bytes.fill(value, at, at + 1),
  'a byte too few': (bytes, at) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]),
  'a byte too many': (bytes, at, value) => Buffer.concat([bytes.subarray(0, at), Buffer.of(value), bytes.subarray(at)]),
  'the start only': (bytes, at) => bytes.subarray(0, at),
  'zeros at the end': (bytes, at) => bytes.fill(0, at),
  'something at the end': (bytes, _, value) => Buffer.concat([bytes, Buffer.of(value)]),
};

void t.test('a file with any damage counts as absent', async (t) => {
  const damages = fc.constantFrom(...Object.entries(DAMAGES));
  const values = fc.nat({ max: 255 });
  const property = fc.property(
    keys,
    records,
    aliases,
    damages,
    fc.nat(),
    values,
    (key, record, alias, [, damage], at, value) => {
      for (const [text, parse] of [
        [serializeRecord(key, record), parseRecord],
        [serializeAlias(key, alias), parseAlias],
      ] as const) {
        const bytes = Buffer.from(text);
        const damaged = damage(Buffer.from(text), at % bytes.length, value);
        if (!damaged.equals(bytes)) assert.equal(parse(key, damaged.toString('utf8')), undefined);
      }
    },
  );
  await checkProperty(t, property, 4_000);
});

void t.test('no text that the program did not write is read as a record or an alias', async (t) => {
  const property = fc.property(keys, fc.oneof(fc.json(), names, fc.string()), (key, text) => {
    for (const candidate of [text, `0\n${text}\n`, `811c9dc5\n${text}\n`]) {
      assert.equal(parseRecord(key, candidate), undefined);
      assert.equal(parseAlias(key, candidate), undefined);
    }
  });
  await checkProperty(t, property, 1_000);
});

const DAY_MS = 86_400_000;

void t.test(
  'a token is used neither near its end, nor before it was received, nor after it was found stale',
  async (t) => {
    const lifetimes = fc.oneof(fc.integer({ min: 1, max: 300_000 }), fc.integer({ min: 1, max: DAY_MS }));
    const property = fc.property(
      instants,
      lifetimes,
      fc.integer({ min: -DAY_MS, max: 2 * DAY_MS }),
      (start, life, age) => {
        const record: TokenRecord = { token: 't', receivedAt: start, expiresAt: start + life, endpoint: undefined };
        const now = start + age;
        const isUsable = age > -60_000 && life - age > Math.min(120_000, life / 2);
        assert.equal(isFresh(record, now), isUsable);
      },
    );
    await checkProperty(t, property, 2_000);
  },
);

const KEYED = {
  token: tokenFileName,
  metadata: metadataFileName,
  alias: aliasFileName,
  refusal: refusalFileName,
  'saved-secret': savedSecretFileName,
} as const;

void t.test('the name of a cache file says what it is and for which key, and other names say nothing', async (t) => {
  const kinds = fc.constantFrom(...Object.entries(KEYED));
  const additions = fc.constantFrom('', '.', 'a', '~', '.bak', ' ', '\n', '0', 'Z');
  const property = fc.property(keys, kinds, additions, additions, (key, [kind, nameOf], before, after) => {
    assert.deepEqual(parseFileName(nameOf(key)), { kind, key });
    const name = before + nameOf(key) + after;
    if (name !== nameOf(key)) assert.notEqual(parseFileName(name)?.kind, kind);
    assert.equal(parseFileName(nameOf(key.slice(1))), undefined);
  });
  await checkProperty(t, property, 500);
});
