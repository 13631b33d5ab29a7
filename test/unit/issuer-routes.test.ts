// What the issuer answers, writes into its log and counts, without a server.

import { PassThrough, Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { EXCHANGE_REFUSAL_CAUSES, OAuthError } from '../../src/webhook/issuer/oauth-error.ts';
import type { Exchange, IssuedToken } from '../../src/webhook/issuer/exchange.ts';
import { makeIssuerMetrics } from '../../src/webhook/issuer/issuer-metrics.ts';
import { makeIssuerRoutes } from '../../src/webhook/issuer/issuer-routes.ts';
import type { IssuerRouteSettings } from '../../src/webhook/issuer/issuer-routes.ts';
import { openLog } from '../../src/webhook/observability/log.ts';
import type { Answer } from '../../src/webhook/server/answer.ts';
import type { RequestHead } from '../../src/webhook/server/request.ts';
import { makeForm } from '../support/issuer-settings.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const ISSUED: IssuedToken = {
  token: 'signed',
  claims: { sub: 'u1', iss: 'i', aud: 'a', iat: 0, nbf: 0, exp: NOW / 1_000 + 99.322, jti: 'j1' },
  kid: 'k1',
  username: 'alice',
  projectId: 'p1',
  isRepeated: false,
};
const FORM = new URLSearchParams(makeForm('token', 'a')).toString();
const POST = { method: 'POST', target: '/keystone/token', contentType: 'application/x-www-form-urlencoded' };
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache', 'x-request-id': /^[\da-f-]{36}$/ };

interface Fixture {
  /** Sends a request; without a body, it never ends. */
  readonly send: (head: Partial<RequestHead>, body?: string) => Promise<Answer>;
  readonly lines: object[];
  /** What was written to the limited log. */
  readonly limited: object[];
  readonly counts: unknown[][];
}

function setUp(exchange: Exchange = () => Promise.resolve(ISSUED), issuer = 'https://t.example.com/keystone'): Fixture {
  const [lines, limited, counts] = [[] as object[], [] as object[], [] as unknown[][]];
  const settings: IssuerRouteSettings = {
    issuer,
    exchange,
    listPublicKeys: () => [
      { kid: 'k1', alg: 'ES256' },
      { kid: 'k2', alg: 'ES256' },
    ],
    maxAgeMs: 1_999,
    metrics: {
      ...makeIssuerMetrics({}, () => undefined),
      recordExchange: (...values) => counts.push(values),
      recordRefusal: (...values) => counts.push(values),
    },
    now: () => NOW,
    log: openLog('info', (line) => lines.push(JSON.parse(line) as object)),
    requestLog: { write: (line) => limited.push(line), close: () => undefined },
    certificates: { clientCa: undefined } as IssuerRouteSettings['certificates'],
    allowedClientNames: [],
    metricsAccess: 'everyone',
    getUnreadyReason: () => undefined,
  };
  const answer = makeIssuerRoutes(settings);
  const socket: unknown = { remoteAddress: '192.0.2.1' };
  const send: Fixture['send'] = (head, body) =>
    new Promise((resolve) => {
      const all = {
        method: 'GET',
        target: '/',
        contentType: undefined,
        contentLength: undefined,
        socket: socket as TLSSocket,
        ...head,
      };
      const source = new PassThrough();
      if (body === undefined) source.write('x'.repeat(65_536));
      answer(all, body === undefined ? source : Readable.from([Buffer.from(body)]), resolve);
    });
  return { send, lines, limited, counts };
}

void t.test('discovery and keys are below the path of the issuer, for those who read', async (t) => {
  for (const [issuer, prefix] of [
    ['https://t.example.com', ''],
    ['https://t.example.com/a/b', '/a/b'],
  ] as const) {
    const { send } = setUp(undefined, issuer);
    for (const method of ['GET', 'HEAD']) {
      const discovery = await send({ method, target: `${prefix}/.well-known/openid-configuration?x=1` });
      t.match(discovery, { status: 200, headers: { 'cache-control': /^public, max-age=1$/ } });
      t.match(JSON.parse(discovery.body), { issuer, token_endpoint: `${issuer}/token` });
      t.match(JSON.parse(discovery.body), { id_token_signing_alg_values_supported: ['ES256'] }, 'each algorithm once');
      t.match(await send({ method, target: `${prefix}/jwks` }), {
        ...{ status: 200, body: /"kid":"k2"/, headers: { 'cache-control': /^public, max-age=1$/ } },
      });
    }
    t.match(await send({ method: 'POST', target: `${prefix}/jwks` }), {
      status: 404,
      body: /unknown path.*"NotFound"/,
    });
    t.match(await send({ target: `/x${prefix}/jwks` }), { status: 404 });
    t.match(await send({ target: '/healthz' }), { status: 200, body: /^ok\n$/ });
  }
});

void t.test('an issued token is answered, counted and written into the log in full', async (t) => {
  const clients: string[] = [];
  const { send, lines, limited, counts } = setUp((_request, client) => {
    clients.push(client);
    return Promise.resolve(ISSUED);
  });
  const startedAt = performance.now();
  const answer = await send(POST, FORM);
  const passedMs = performance.now() - startedAt;
  t.match(answer, { status: 200, contentType: /^application\/json/, headers: NO_STORE });
  t.strictSame(JSON.parse(answer.body), {
    access_token: 'signed',
    issued_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    token_type: 'N_A',
    expires_in: 100,
  });
  const fields = {
    ...{ client: '192.0.2.1', audience: 'a', uid: 'u1', username: 'alice', projectId: 'p1', jti: 'j1', kid: 'k1' },
    ...{ requestId: answer.headers?.['x-request-id'], expiresAt: '2026-01-02T03:05:45.000Z' },
  };
  t.match(lines, [{ level: 'info', msg: /^token issued$/, ...fields }]);
  t.strictSame(limited, []);
  t.strictSame(clients, ['192.0.2.1']);
  const [[audience, result, seconds] = [], ...others] = counts;
  t.strictSame([audience, result, others], ['a', 'issued', []]);
  t.ok(Number(seconds) >= 0 && Number(seconds) * 1_000 <= passedMs, 'in seconds');

  const again = setUp(() => Promise.resolve({ ...ISSUED, isRepeated: true }));
  await again.send(POST, FORM);
  t.strictSame(again.lines, []);
  t.match(again.limited, [
    { level: 'info', client: '192.0.2.1', message: /^token issued again$/, fields: { jti: 'j1', uid: 'u1' } },
  ]);
});

void t.test('a refusal is answered, counted and written with what was found out before', async (t) => {
  const { send, lines, limited, counts } = setUp((_request, _client, trace) => {
    Object.assign(trace, { audience: 'a', uid: 'u1' });
    return Promise.reject(new OAuthError('temporarily_unavailable', 'later', { retryAfterSeconds: 7 }));
  });
  const startedAt = performance.now();
  const answer = await send(POST, FORM);
  const passedMs = performance.now() - startedAt;
  t.match(answer, { status: 503, headers: { ...NO_STORE, 'retry-after': '7' } });
  t.strictSame(JSON.parse(answer.body), { error: 'temporarily_unavailable', error_description: 'later' });
  t.notOk(Object.hasOwn(answer.headers ?? {}, 'allow'));
  t.match(limited, [
    {
      ...{ level: 'info', client: '192.0.2.1', message: 'exchange refused' },
      fields: {
        ...{ requestId: answer.headers?.['x-request-id'], client: '192.0.2.1', audience: 'a', uid: 'u1' },
        ...{ error: 'temporarily_unavailable', cause: 'keystone', reason: 'later' },
      },
    },
  ]);
  t.match(counts, [['a', 'temporarily_unavailable', Number], ['keystone']]);
  t.ok(Number(counts[0]?.[2]) * 1_000 <= passedMs, 'in seconds');
  t.strictSame(lines, []);
});

void t.test('a request that is wrong is refused before its body is read', async (t) => {
  const rows: readonly (readonly [head: Partial<RequestHead>, status: number, description: string])[] = [
    [{ ...POST, method: 'GET' }, 405, 'use the method POST'],
    [{ ...POST, target: '/keystone/token?x' }, 400, 'the parameters belong to the body, not to the URL'],
    [{ ...POST, contentType: 'application/json' }, 400, 'the content type must be application/x-www-form-urlencoded'],
    [{ ...POST, contentLength: '65537' }, 413, 'the body is too large'],
  ];
  for (const [head, status, description] of rows) {
    const { send, counts } = setUp();
    const answer = await send(head);
    t.match(answer, { status, headers: NO_STORE }, description);
    t.equal(answer.headers?.['allow'], status === 405 ? 'POST' : undefined);
    t.notOk(Object.hasOwn(answer.headers ?? {}, 'retry-after'));
    t.strictSame(JSON.parse(answer.body), { error: 'invalid_request', error_description: description });
    t.match(counts, [['', 'invalid_request', Number], ['request']]);
  }
  t.match(await setUp().send({ ...POST, contentLength: '65536' }, FORM), { status: 200 });
  t.match(await setUp().send(POST, `${FORM}&x=${'y'.repeat(65_536)}`), { status: 413, body: /the body is too large/ });
});

void t.test('of too many incomplete requests, one is asked to come again', async (t) => {
  const { send, counts } = setUp();
  const answer = await Promise.race(Array.from({ length: 300 }, () => send(POST)));
  t.match(answer, { status: 429, headers: { ...NO_STORE, 'retry-after': '1' } });
  t.match(JSON.parse(answer.body), { error: 'temporarily_unavailable', error_description: /too many large requests/ });
  t.match(counts[1], ['request']);
});

void t.test('an error that nobody expects quotes nothing', async (t) => {
  const { send, lines, counts } = setUp(() => Promise.reject(new TypeError('canary')));
  const answer = await send(POST, FORM);
  t.match(answer, { status: 500, body: /internal error/ });
  t.match(lines, [{ level: 'error', error: 'TypeError', msg: 'internal error' }]);
  t.notMatch(JSON.stringify([answer, lines]), /canary/);
  t.strictSame(counts, []);
});

void t.test('the metrics begin at zero, and count', async (t) => {
  const kids: string[] = [];
  const metrics = makeIssuerMetrics({ audiences: { help: 'x', read: () => 3 } }, () => kids[0]);
  const before = await metrics.render();
  for (const cause of EXCHANGE_REFUSAL_CAUSES) t.match(before, `exchange_refusals_total{cause="${cause}"} 0\n`);
  for (const result of ['ok', 'failed']) t.match(before, `signing_key_reads_total{result="${result}"} 0\n`);
  t.match(before, 'keystone_auth_audiences 3\n');
  t.match(before, 'keystone_auth_signing_key_rotations_total 0\n');
  t.notMatch(before, /signing_key_info\{/);
  kids.push('k1');
  metrics.recordExchange('a', 'issued', 0.02);
  metrics.recordRefusal('scope');
  metrics.recordKeysRead('failed');
  metrics.recordRotation();
  const after = await metrics.render();
  for (const line of [
    'exchanges_total{audience="a",result="issued"} 1',
    'exchange_seconds_bucket{le="0.01"} 0',
    'exchange_seconds_bucket{le="0.05"} 1',
    'exchange_refusals_total{cause="scope"} 1',
    'signing_key_reads_total{result="failed"} 1',
    'signing_key_rotations_total 1',
    'signing_key_info{kid="k1"} 1',
  ]) {
    t.match(after, `keystone_auth_${line}\n`, line);
  }
});
