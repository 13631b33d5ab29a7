// The plugin's side of a token exchange: what it sends, and what it makes of the times in the answer.

import t from 'tap';
import { Secret } from '../../src/shared/base/secret.ts';
import { discoverIssuer, requestExchange } from '../../src/shared/oidc/exchange-request.ts';
import type { ClusterToken, Issuer } from '../../src/shared/oidc/exchange-request.ts';
import { scriptHttp } from '../support/scripted-http.ts';
import type { ScriptedHttp } from '../support/scripted-http.ts';

const URL_OF_ISSUER = 'https://issuer.test/keystone';
const ISSUER: Issuer = {
  url: URL_OF_ISSUER,
  peer: { name: 'the issuer', setting: 'OS_TOKEN_EXCHANGE_URL' },
  audienceSetting: 'OS_TOKEN_EXCHANGE_AUDIENCE',
};
const DOCUMENT = { issuer: URL_OF_ISSUER, token_endpoint: `${URL_OF_ISSUER}/token`, jwks_uri: `${URL_OF_ISSUER}/jwks` };
const NOW = 1_790_000_000_000;

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function makeJwt(claims: object, algorithm = 'ES256'): string {
  return [encode({ alg: algorithm }), encode({ iss: URL_OF_ISSUER, aud: 'prod', ...claims }), 'c2ln'].join('.');
}

function script(token: string, more: object = {}, serverAheadMs = 0): ScriptedHttp {
  const body = {
    access_token: token,
    issued_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    token_type: 'N_A',
    ...more,
  };
  return scriptHttp({ status: 200, body: DOCUMENT }, { status: 200, body, respondedAt: NOW, serverAheadMs });
}

const exchange = ({ http }: ScriptedHttp): Promise<ClusterToken> =>
  requestExchange(http, ISSUER, { subjectToken: new Secret('keystone-token'), audience: 'prod' });

const seconds = (ms: number): number => (NOW + ms) / 1000;

void t.test('two requests are sent, without a redirect and without credentials of a client', async (t) => {
  const scripted = script(makeJwt({ exp: seconds(600_000) }));
  await exchange(scripted);
  const [discovery, post] = scripted.requests;
  t.match(discovery, { verb: 'GET', url: `${URL_OF_ISSUER}/.well-known/openid-configuration`, returnsRedirect: true });
  t.match(post, { verb: 'POST', url: `${URL_OF_ISSUER}/token`, isForm: true, returnsRedirect: true });
  t.equal(post?.headers, undefined);
  t.notOk(new URLSearchParams(post?.body).has('client_id'));
});

void t.test('a JWT ends at its claim, by the clock of this machine', async (t) => {
  const minute = 60_000;
  for (const [aheadMs, endMs] of [
    [0, 10 * minute],
    [60 * minute, 70 * minute],
    [-60 * minute, -50 * minute],
  ] as const) {
    const { expiresAt, receivedAt } = await exchange(script(makeJwt({ exp: seconds(endMs) }), {}, aheadMs));
    t.same([expiresAt, receivedAt], [NOW + 10 * minute, NOW], `the issuer is ${aheadMs} ms ahead`);
  }
  const late = exchange(script(makeJwt({ exp: seconds(-50 * minute) })));
  await t.rejects(late, { code: 'protocol', message: /already expired by the clock of this machine/ });
  const { expiresAt } = await exchange(script(makeJwt({ exp: seconds(10 * minute) }), { expires_in: 60 }));
  t.equal(expiresAt, NOW + 10 * minute, 'the claim comes first');
  const fallback = await exchange(script(makeJwt({}), { expires_in: 60 }));
  t.equal(fallback.expiresAt, NOW + minute, 'expires_in takes its place');
  const far = await exchange(script(makeJwt({ exp: seconds(365 * 24 * 60 * minute) })));
  t.equal(far.expiresAt, NOW + 30 * 24 * 60 * minute, 'nothing is used for longer than 30 days');
});

void t.test('the user is named by name, or else by ID', async (t) => {
  const exp = seconds(600_000);
  t.equal((await exchange(script(makeJwt({ exp, sub: 'id', preferred_username: 'alice' })))).user, 'alice');
  t.equal((await exchange(script(makeJwt({ exp, sub: 'id' })))).user, 'id');
  t.equal((await exchange(script(makeJwt({ exp })))).user, 'an unnamed user');
});

void t.test('each signature that an API server can verify is accepted, and an audience among others', async (t) => {
  const exp = seconds(600_000);
  for (const algorithm of ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']) {
    t.ok(await exchange(script(makeJwt({ exp, aud: ['other', 'prod'] }, algorithm))), algorithm);
  }
  for (const algorithm of ['none', 'NONE', 'HS256', 'EdDSA', 'es256', '']) {
    await t.rejects(exchange(script(makeJwt({ exp }, algorithm))), { code: 'protocol' }, algorithm);
  }
  for (const aud of ['Prod', 'prod ', ['a'], [], {}, 7]) {
    await t.rejects(exchange(script(makeJwt({ exp, aud }))), /for another cluster/, JSON.stringify(aud));
  }
});

void t.test('a trailing slash of the issuer makes no difference, and its claim is compared as it is', async (t) => {
  const document = { ...DOCUMENT, issuer: `${URL_OF_ISSUER}/` };
  const { http } = scriptHttp({ status: 200, body: document });
  t.match(await discoverIssuer(http, ISSUER), { issuer: `${URL_OF_ISSUER}/`, tokenEndpoint: DOCUMENT.token_endpoint });
  const others = ['https://issuer.test', 'https://issuer.test/keystone2', 'https://evil.test/keystone', 'keystone', 7];
  for (const issuer of others) {
    const scripted = scriptHttp({ status: 200, body: { ...DOCUMENT, issuer } });
    await t.rejects(discoverIssuer(scripted.http, ISSUER), { code: 'protocol' }, String(issuer));
  }
});
