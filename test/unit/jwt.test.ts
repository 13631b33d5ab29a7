import t from 'tap';
import { readJwsHeader, readUnverifiedClaims } from '../../src/shared/oidc/jwt.ts';

const jwt = (claims: unknown): string =>
  `eyJhbGciOiJub25lIn0.${Buffer.from(typeof claims === 'string' ? claims : JSON.stringify(claims)).toString('base64url')}.c2ln`;

void t.test('the claims of a JWT are read', async (t) => {
  t.strictSame(readUnverifiedClaims(jwt({ iss: 'https://idp', sub: 'alice', aud: 'kubectl', exp: 1_790_000_000 })), {
    issuer: 'https://idp',
    subject: 'alice',
    userName: undefined,
    groups: undefined,
    audiences: ['kubectl'],
    expiresAt: 1_790_000_000_000,
    nonce: undefined,
  });
  const named = readUnverifiedClaims(jwt({ preferred_username: 'alice', groups: ['a', 7] }));
  t.match(named, { userName: 'alice', groups: ['a'] });
  t.strictSame(readUnverifiedClaims(jwt({ aud: ['a', 7, 'b'] }))?.audiences, ['a', 'b']);
  t.equal(
    readUnverifiedClaims(jwt({ exp: 1_790_000_000.5 }))?.expiresAt,
    1_790_000_000_500,
    'RFC 7519 allows fractions',
  );
});

void t.test('an invalid expiry is ignored', async (t) => {
  for (const exp of ['1790000000', null, -1, 1e300, {}, [], true]) {
    t.equal(readUnverifiedClaims(jwt({ exp }))?.expiresAt, undefined, JSON.stringify(exp));
  }
  t.equal(
    readUnverifiedClaims(jwt('{"__proto__":{"exp":1790000000}}'))?.expiresAt,
    undefined,
    'inherited properties are not claims',
  );
});

void t.test('a text that is not a JWT causes no error', async (t) => {
  const hostile = [
    ...['', '.', '..', '...', 'a.b', 'a.b.c', 'a.b.c.d', 'a.b.c.d.e', 'opaque-token', '\0.\0.\0'],
    ...['[]', '"text"', 'null', '7', '{', '\ufeff{}x', '['.repeat(100_000), `{"a":${'['.repeat(50_000)}`].map(jwt),
    `x.${'A'.repeat(1_000_001)}.y`,
    `x.${Buffer.from([0xff, 0xfe, 0x7b, 0x7d]).toString('base64url')}.y`,
    `x.!!!!.y`,
  ];
  for (const token of hostile) t.equal(readUnverifiedClaims(token), undefined, token.slice(0, 40));
});

void t.test('the header of a signed JWT is read, and of nothing else', async (t) => {
  const encode = (header: unknown): string => Buffer.from(JSON.stringify(header)).toString('base64url');
  const sign = (header: unknown): string => `${encode(header)}.e30.c2ln`;
  t.strictSame(readJwsHeader(sign({ alg: 'ES256', kid: 'a' })), { algorithm: 'ES256', keyId: 'a' });
  t.strictSame(readJwsHeader(sign({ alg: 'none', kid: 7 })), { algorithm: 'none', keyId: undefined });
  const others = [
    ...[{}, { alg: 7 }, [], 'ES256', null].map(sign),
    `${encode({ alg: 'ES256' })}.e30.`,
    `${encode({ alg: 'ES256' })}.e30`,
    `${encode({ alg: 'ES256' })}.e30.c2ln.x.y`,
    `${encode({ alg: 'ES256' })}.e30.c2 n`,
    '',
    '..',
    'a.b.c',
  ];
  for (const token of others) t.equal(readJwsHeader(token), undefined, token);
});
