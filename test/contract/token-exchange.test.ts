/**
 * A token exchange: the cluster gets a JWT of an issuer, and never the Keystone token. Keystone and the issuer are
 * stand-ins, because both have faults here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import {
  checkFailure,
  checkSuccess,
  EXIT_STATUS,
  makeLoginSettings,
  readExecCredential,
  startKeystoneForTest,
} from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeExecInfo } from '../support/home.ts';
import { runBundles } from '../support/run-bundles.ts';
import { runPlugin } from '../support/run-plugin.ts';
import {
  ANY_JWT,
  ISSUER_DISCOVERY,
  ISSUER_EXCHANGE,
  makeExchangeSettings,
  readClaims,
  startStandInExchange,
} from '../support/stand-in-exchange.ts';
import type { IssuerAnswer, StandInExchange } from '../support/stand-in-exchange.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

const MINUTE_MS = 60_000;

/** Someone whose plugin runs in this process, with a clock of the test. */
interface Setting {
  readonly alice: Fixture;
  readonly keystone: StandInKeystone;
  readonly issuer: StandInExchange;
  /** Lets time pass for the plugin, Keystone and the issuer. */
  readonly wait: (ms: number) => void;
}

async function setUpExchange(t: Test): Promise<Setting> {
  let passedMs = 0;
  const startedAt = Date.now();
  // The time that a busy machine needs does not count.
  const now = (): number => startedAt + passedMs;
  const keystone = await startKeystoneForTest(t, { now });
  const issuer = await startStandInExchange(t, { keystone: keystone.url, now });
  const settings = { ...makeLoginSettings(`${keystone.url}/v3`), ...makeExchangeSettings(issuer) };
  const alice = setUp(t, { keystone, settings, runner: (run) => runBundles(run, { now }) });
  return { alice, keystone, issuer, wait: (ms) => void (passedMs += ms) };
}

/** The tokens that Keystone has issued. */
const listKeystoneTokens = ({ keystone }: Setting): string[] => [...keystone.sessions.keys()];

function checkNothingPrinted(t: Test, setting: Setting, text: string): void {
  for (const token of listKeystoneTokens(setting)) t.notOk(text.includes(token), 'no Keystone token is printed');
}

/** Runs the plugin as the kubectl that this process is: a second run within it means that the cluster rejected the JWT. */
const runAsKubectl = (alice: Fixture): ReturnType<Fixture['run']> =>
  alice.with({ KUBERNETES_EXEC_INFO: makeExecInfo() }).run();

await t.test('the cluster gets a JWT until its end, and the next run takes it from the cache', async (t) => {
  const setting = await setUpExchange(t);
  const { alice, issuer, wait } = setting;
  const { token, expirationTimestamp } = checkSuccess(t, await alice.run());
  const claims = readClaims(token);
  t.match(claims, { iss: issuer.url, aud: 'prod', preferred_username: 'alice' });
  t.equal(Date.parse(expirationTimestamp) / 1000, claims['exp'], 'the ExecCredential ends with the JWT');
  checkNothingPrinted(t, setting, token);
  t.strictSame(Object.fromEntries(issuer.requests.at(-1)?.form ?? []), {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: listKeystoneTokens(setting)[0],
    subject_token_type: 'urn:openstack:params:oauth:token-type:keystone',
    audience: 'prod',
    requested_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  });

  wait(7 * MINUTE_MS);
  t.equal(checkSuccess(t, await alice.run()).token, token, 'the cache has it');
  t.same([alice.countLogins(), issuer.countExchanges()], [1, 1]);
});

await t.test('a JWT is renewed without a login while the Keystone token lives, and with one after that', async (t) => {
  const { alice, issuer, wait } = await setUpExchange(t);
  const withoutPassword = alice.with({ OS_PASSWORD: undefined });
  checkSuccess(t, await alice.run());
  for (let count = 2; count <= 5; count += 1) {
    wait(9 * MINUTE_MS);
    checkSuccess(t, await withoutPassword.run());
    t.same([alice.countLogins(), issuer.countExchanges()], [1, count], 'no login, one exchange');
  }
  wait(60 * MINUTE_MS);
  const missing = await withoutPassword.run();
  checkFailure(t, missing, EXIT_STATUS.interaction, { says: ['OS_PASSWORD'] });
  checkSuccess(t, await alice.run());
  t.equal(alice.countLogins(), 2);
});

await t.test('each cluster has its own JWT, and all share the login', async (t) => {
  const { alice, issuer } = await setUpExchange(t);
  const onTest = alice.with(makeExchangeSettings(issuer, 'test'));
  const prod = checkSuccess(t, await alice.run()).token;
  const test = checkSuccess(t, await onTest.run()).token;
  t.equal(readClaims(test)['aud'], 'test');
  t.equal(checkSuccess(t, await alice.run()).token, prod);
  t.equal(checkSuccess(t, await onTest.run()).token, test);
  t.same([alice.countLogins(), issuer.countExchanges()], [1, 2]);

  const plain = alice.with({ OS_TOKEN_EXCHANGE_URL: '', OS_TOKEN_EXCHANGE_AUDIENCE: '' });
  const keystoneToken = checkSuccess(t, await plain.run()).token;
  t.notOk(keystoneToken.includes('.'), 'without an exchange, it is the Keystone token');
  t.equal(checkSuccess(t, await alice.run()).token, prod, 'and with it the JWT again');
  t.equal(alice.countLogins(), 1);
});

await t.test('flags and clouds.yaml set an exchange too', async (t) => {
  const { alice, keystone, issuer } = await setUpExchange(t);
  const without = alice.with({ OS_TOKEN_EXCHANGE_URL: undefined, OS_TOKEN_EXCHANGE_AUDIENCE: undefined });
  const flags = [`--token-exchange-url=${issuer.url}/`, '--token-exchange-audience=prod'];
  const { token } = checkSuccess(t, await without.run(...flags));
  t.equal(readClaims(token)['aud'], 'prod');

  const settings = makeLoginSettings(`${keystone.url}/v3`);
  const auth = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name.slice(3).toLowerCase(), value]),
  );
  const cloud = { auth, token_exchange_url: issuer.url, token_exchange_audience: 'test' };
  without.writeFile('.config/openstack/clouds.yaml', { clouds: { prod: cloud } });
  const ofCloud = checkSuccess(t, await without.withOnly({ OS_CLOUD: 'prod' }).run());
  t.equal(readClaims(ofCloud.token)['aud'], 'test');
});

await t.test('wrong settings are named, and nothing is sent', async (t) => {
  const { alice, issuer } = await setUpExchange(t);
  const table: readonly (readonly [changes: Record<string, string>, says: string | RegExp])[] = [
    [{ OS_TOKEN_EXCHANGE_AUDIENCE: '' }, 'OS_TOKEN_EXCHANGE_AUDIENCE (--token-exchange-audience)'],
    [{ OS_TOKEN_EXCHANGE_URL: '' }, 'OS_TOKEN_EXCHANGE_URL (--token-exchange-url)'],
    [{ OS_TOKEN_EXCHANGE_URL: 'issuer' }, 'OS_TOKEN_EXCHANGE_URL is not a URL'],
    [{ OS_TOKEN_EXCHANGE_URL: 'http://issuer.test' }, 'OS_TOKEN_EXCHANGE_URL must begin with https://'],
    [{ OS_TOKEN_EXCHANGE_URL: 'http://issuer.test', CLIENT_KEYSTONE_AUTH_ALLOW_HTTP: 'true' }, 'begin with https://'],
    [{ OS_TOKEN_EXCHANGE_URL: 'ftp://127.0.0.1' }, 'must begin with https://'],
    [{ OS_TOKEN_EXCHANGE_URL: 'https://a@issuer.test' }, 'must not contain a user name'],
    [{ OS_TOKEN_EXCHANGE_URL: 'https://issuer.test/?a' }, 'a query'],
    [{ OS_TOKEN_EXCHANGE_AUDIENCE: 'prod\n2' }, 'OS_TOKEN_EXCHANGE_AUDIENCE is not the name of a cluster'],
    [{ OS_TOKEN_EXCHANGE_AUDIENCE: 'a'.repeat(1_001) }, 'is not the name of a cluster'],
    [
      { CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token', OS_AUTH_TYPE: 'v3oidcclientcredentials' },
      /TOKEN_KIND and OS_TOKEN_EXCHANGE_URL exclude each other/,
    ],
    [{ OS_TOKEN_EXCHANGE_URL: 'https://issuer.test', OS_TOKEN_EXCHANGE_CACERT: '/none.pem' }, /_CACERT: \/none.pem/],
  ];
  for (const [changes, says] of table) {
    checkFailure(t, await alice.with(changes).run(), EXIT_STATUS.config, { says: [says] });
  }
  t.same([alice.countRequests(), issuer.requests.length], [0, 0]);
});

await t.test(
  'a key of clouds.yaml that sets no exchange is an error, and never means the Keystone token',
  async (t) => {
    const { alice, keystone, issuer } = await setUpExchange(t);
    const settings = makeLoginSettings(`${keystone.url}/v3`);
    const auth = Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [name.slice(3).toLowerCase(), value]),
    );
    const keys = { token_exchange_url: issuer.url, token_exchange_audience: 'prod' };
    const clouds: readonly (readonly [cloud: object, key: string])[] = [
      [{ auth: { ...auth, ...keys } }, 'auth.token_exchange_url'],
      [{ auth: { ...auth, 'token-exchange-url': issuer.url } }, 'auth.token_exchange_url'],
      [{ auth, token_exchange: { url: issuer.url, audience: 'prod' } }, 'token_exchange'],
      [{ auth, os_token_exchange_url: issuer.url, os_token_exchange_audience: 'prod' }, 'os_token_exchange_url'],
      [{ auth, tokenExchangeUrl: issuer.url, tokenExchangeAudience: 'prod' }, 'tokenExchangeUrl'],
      [{ auth, ...keys, token_exchange_ca_cert: '/ca.pem' }, 'token_exchange_ca_cert'],
      [
        { auth, region_name: 'r', regions: [{ name: 'r', values: { token_exchange_uri: issuer.url } }] },
        '_exchange_uri',
      ],
      [{ auth, regions: [{ name: 'r', ...keys }] }, 'token_exchange_url of region r'],
      [{ auth, token_exchnage_url: issuer.url, token_exchnage_audience: 'prod' }, 'token_exchnage_url'],
      [{ auth, 'exchange-token-url': issuer.url }, 'exchange_token_url'],
      [{ auth, exchange: { url: issuer.url, audience: 'prod' } }, 'exchange'],
      [{ auth: { ...auth, exchange_audience: 'prod' } }, 'auth.exchange_audience'],
    ];
    const files = [
      ...clouds.map(([cloud, key]) => [{ clouds: { prod: cloud } }, key] as const),
      [{ clouds: { prod: { auth } }, ...keys }, 'token_exchange_url'] as const,
    ];
    for (const [file, key] of files) {
      alice.writeFile('.config/openstack/clouds.yaml', file);
      const says = [
        `${key} of `,
        'write token_exchange_url, token_exchange_audience and token_exchange_cacert next to auth',
      ];
      checkFailure(t, await alice.withOnly({ OS_CLOUD: 'prod' }).run(), EXIT_STATUS.config, { says });
    }
    t.same([alice.countRequests(), issuer.requests.length], [0, 0]);
  },
);

await t.test('a misspelled variable is an error, also if the Keystone token is in the cache already', async (t) => {
  const { alice, issuer } = await setUpExchange(t);
  const without = alice.with({ OS_TOKEN_EXCHANGE_URL: undefined, OS_TOKEN_EXCHANGE_AUDIENCE: undefined });
  const others = without.with({ OS_DEFAULT__CONTROL_EXCHANGE: 'nova', TOKEN_EXCHANGE_URL: 'x', OS_EXCHANGE_URL: ' ' });
  for (const names of [without, others]) checkSuccess(t, await names.run());
  const table: readonly (readonly [names: readonly string[], says: string])[] = [
    [['OS_TOKEN_EXCHNAGE_URL', 'OS_TOKEN_EXCHNAGE_AUDIENCE'], 'did you mean OS_TOKEN_EXCHANGE_URL?'],
    [['OS_TOKEN_EXCHANGE_URI'], 'did you mean OS_TOKEN_EXCHANGE_URL?'],
    [['OS_TOKENS_EXCHANGE_AUDIENCE'], 'did you mean OS_TOKEN_EXCHANGE_AUDIENCE?'],
    [['OS_TOKENEXCHANGE_URL'], 'did you mean OS_TOKEN_EXCHANGE_URL?'],
    [['os_token_exchange_url', 'os_token_exchange_audience'], 'did you mean OS_TOKEN_EXCHANGE_URL?'],
    [['OS_EXCHANGE_AUDIENCE'], 'set OS_TOKEN_EXCHANGE_URL, OS_TOKEN_EXCHANGE_AUDIENCE, OS_TOKEN_EXCHANGE_CACERT'],
    [['OS_TOKEN_EXCHANGE_ISSUER'], 'OS_TOKEN_EXCHANGE_ISSUER sets no token exchange'],
    [['CLIENT_KEYSTONE_AUTH_TOKEN_EXCHANGE_URL'], 'the cluster would get the Keystone token'],
  ];
  for (const [names, says] of table) {
    const misspelled = Object.fromEntries(names.map((name) => [name, issuer.url]));
    for (const person of [without, alice]) {
      checkFailure(t, await person.with(misspelled).run(), EXIT_STATUS.config, { says: [says, names[0] ?? ''] });
    }
    checkSuccess(
      t,
      await without
        .with(misspelled)
        .with(Object.fromEntries(names.map((name) => [name, ''])))
        .run(),
    );
  }
  t.equal(issuer.requests.length, 0);
});

await t.test('a clouds.yaml in the current folder cannot set an exchange, whatever else it sets', async (t) => {
  const { alice, keystone, issuer } = await setUpExchange(t);
  const plain = alice.with({ OS_TOKEN_EXCHANGE_URL: undefined, OS_TOKEN_EXCHANGE_AUDIENCE: undefined });
  checkSuccess(t, await plain.run());
  const settings = makeLoginSettings(`${keystone.url}/v3`);
  const auth = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name.slice(3).toLowerCase(), value]),
  );
  const exchange = { token_exchange_url: issuer.url, token_exchange_audience: 'prod' };
  const checkout = plain.inFolder(join(alice.home.path, 'checkout'));
  for (const cloud of [
    { auth: { ...auth, password: 'unknown' }, ...exchange },
    { auth, ...exchange },
  ]) {
    plain.writeFile('checkout/clouds.yaml', { clouds: { prod: cloud } });
    const result = await checkout.withOnly({ OS_CLOUD: 'prod' }).run();
    t.equal(result.status, EXIT_STATUS.config, result.stderr);
    t.match(result.stderr, /must not decide where the Keystone token goes/);
    t.equal(result.stdout, '');
  }
  for (const name of ['token_exchange_audience', 'token_exchange_cacert']) {
    plain.writeFile('checkout/clouds.yaml', { clouds: { prod: { auth, [name]: 'test' } } });
    const mixed = await checkout.withOnly({ OS_CLOUD: 'prod', ...makeExchangeSettings(issuer) }).run();
    if (name === 'token_exchange_cacert') t.match(mixed, { status: EXIT_STATUS.config, stdout: '' }, name);
    else t.match(mixed, { status: 0 }, 'a variable overrides the file');
  }
  t.equal(issuer.requests.filter(({ form }) => form.get('audience') === 'test').length, 0);
});

// --- The issuer refuses, lies, or does not answer ---

const JSON_TYPE = { 'content-type': 'application/json' };
const oauth = (status: number, error: string, headers: Record<string, string> = {}): IssuerAnswer => ({
  status,
  headers: { ...JSON_TYPE, ...headers },
  body: { error, error_description: `the description of ${error}` },
});

interface Failure {
  readonly what: string;
  /** Of the exchange, unless `line` says otherwise. */
  readonly answer: (issuer: StandInExchange, subjectToken: string) => IssuerAnswer;
  readonly line?: string;
  readonly status: number;
  readonly says: string | RegExp;
}

const withClaims = (issuer: StandInExchange, claims: Record<string, unknown>): IssuerAnswer => {
  issuer.claims = claims;
  const answer = { body: issuer.makeAnswer(issuer.sign('prod')) };
  issuer.claims = {};
  return answer;
};

function withHeader(issuer: StandInExchange, header: object, signature?: string): IssuerAnswer {
  const [, payload = '', own = ''] = issuer.sign('prod').split('.');
  const encoded = Buffer.from(JSON.stringify(header)).toString('base64url');
  return { body: issuer.makeAnswer([encoded, payload, signature ?? own].join('.')) };
}

const FAILURES: readonly Failure[] = [
  {
    what: 'access_denied',
    answer: () => oauth(403, 'access_denied'),
    status: 5,
    says: /may not use this cluster.*access_denied/,
  },
  {
    what: 'invalid_target',
    answer: () => oauth(400, 'invalid_target'),
    status: 5,
    says: 'set OS_TOKEN_EXCHANGE_AUDIENCE',
  },
  {
    what: 'invalid_request',
    answer: () => oauth(400, 'invalid_request'),
    status: 5,
    says: 'rejects the request as invalid',
  },
  {
    what: 'unsupported_grant_type',
    answer: () => oauth(400, 'unsupported_grant_type'),
    status: 5,
    says: 'does not exchange',
  },
  { what: 'an unknown error', answer: () => oauth(400, '__proto__'), status: 5, says: 'gives no reason that is known' },
  {
    what: 'invalid_grant for a new token',
    answer: () => oauth(400, 'invalid_grant'),
    status: 5,
    says: /its Keystone does not accept/,
  },
  {
    what: '429',
    answer: () => oauth(429, 'temporarily_unavailable', { 'retry-after': '60' }),
    status: 6,
    says: 'Retry-After: 60',
  },
  {
    what: '503',
    answer: () => oauth(503, 'temporarily_unavailable', { 'retry-after': '60' }),
    status: 6,
    says: /status 503.*Retry-After: 60/,
  },
  {
    what: '500 with HTML',
    answer: () => ({ status: 500, headers: { 'content-type': 'text/html' }, body: '<h1>no</h1>' }),
    status: 6,
    says: 'status 500',
  },
  { what: '413', answer: () => oauth(413, 'invalid_request'), status: 5, says: 'too large' },
  { what: '404', answer: () => ({ status: 404, body: 'no' }), status: 7, says: 'answers with status 404' },
  {
    what: 'HTML',
    answer: () => ({ headers: { 'content-type': 'text/html' }, body: '<h1>Sign in</h1>' }),
    status: 7,
    says: 'HTML',
  },
  { what: 'no JSON', answer: () => ({ body: 'token' }), status: 7, says: 'no JSON object' },
  { what: '10 MB', answer: () => ({ body: `"${'a'.repeat(10_000_000)}"` }), status: 7, says: 'larger than 1 MiB' },
  {
    what: 'a compressed answer',
    answer: () => ({ headers: { 'content-encoding': 'gzip' }, body: 'a' }),
    status: 7,
    says: 'compressed',
  },
  { what: 'an empty object', answer: () => ({ body: {} }), status: 7, says: 'no token' },
  {
    what: 'the Keystone token',
    answer: (issuer, token) => ({ body: issuer.makeAnswer(token) }),
    status: 7,
    says: 'something else than a signed JWT',
  },
  {
    what: 'a token with a line end',
    answer: (issuer) => ({ body: issuer.makeAnswer(`${issuer.sign('prod')}\r\nX: y`) }),
    status: 7,
    says: 'no token',
  },
  {
    what: 'another token type',
    answer: (issuer) => ({
      body: {
        ...issuer.makeAnswer(issuer.sign('prod')),
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      },
    }),
    status: 7,
    says: 'another type of token',
  },
  {
    what: 'another cluster',
    answer: (issuer) => ({ body: issuer.makeAnswer(issuer.sign('test')) }),
    status: 7,
    says: 'a JWT for another cluster',
  },
  {
    what: 'another issuer',
    answer: (issuer) => withClaims(issuer, { iss: 'https://evil.test' }),
    status: 7,
    says: 'a JWT of another issuer',
  },
  {
    what: 'no issuer',
    answer: (issuer) => withClaims(issuer, { iss: undefined }),
    status: 7,
    says: 'a JWT of another issuer',
  },
  {
    what: 'no audience',
    answer: (issuer) => withClaims(issuer, { aud: undefined }),
    status: 7,
    says: 'a JWT for another cluster',
  },
  { what: 'an expired JWT', answer: (issuer) => withClaims(issuer, { exp: 1 }), status: 7, says: 'already expired' },
  {
    what: 'no end',
    answer: (issuer) => ({
      body: { ...(withClaims(issuer, { exp: undefined }).body as object), expires_in: undefined },
    }),
    status: 7,
    says: 'without an end',
  },
  { what: 'alg none', answer: (issuer) => withHeader(issuer, { alg: 'none' }), status: 7, says: 'without a signature' },
  {
    what: 'alg none and no signature',
    answer: (issuer) => withHeader(issuer, { alg: 'none' }, ''),
    status: 7,
    says: 'something else than a signed JWT',
  },
  {
    what: 'a shared secret',
    answer: (issuer) => withHeader(issuer, { alg: 'HS256' }),
    status: 7,
    says: 'without a signature',
  },
  {
    what: 'a redirect within the origin',
    answer: () => ({ status: 307, headers: { location: '/token?again' } }),
    status: 7,
    says: 'redirects, which is not followed',
  },
  {
    what: 'a redirect of the discovery',
    line: ISSUER_DISCOVERY,
    answer: () => ({ status: 302, headers: { location: '/.well-known/openid-configuration?again' } }),
    status: 7,
    says: 'redirects, which is not followed',
  },
  {
    what: 'a discovery of another issuer',
    line: ISSUER_DISCOVERY,
    answer: ({ url }) => ({ body: { issuer: 'https://evil.test', token_endpoint: `${url}/token` } }),
    status: 7,
    says: 'calls itself https://evil.test',
  },
  {
    what: 'a discovery of a sibling',
    line: ISSUER_DISCOVERY,
    answer: ({ url }) => ({ body: { issuer: `${url}/other`, token_endpoint: `${url}/token` } }),
    status: 7,
    says: 'calls itself',
  },
  {
    what: 'a discovery without an issuer',
    line: ISSUER_DISCOVERY,
    answer: ({ url }) => ({ body: { token_endpoint: `${url}/token` } }),
    status: 7,
    says: 'has no name',
  },
  {
    what: 'a discovery without an endpoint',
    line: ISSUER_DISCOVERY,
    answer: ({ url }) => ({ body: { issuer: url } }),
    status: 7,
    says: 'names no token_endpoint',
  },
  {
    what: 'an endpoint with a user',
    line: ISSUER_DISCOVERY,
    answer: ({ url }) => ({ body: { issuer: url, token_endpoint: `${url.replace('//', '//a:b@')}/token` } }),
    status: 7,
    says: 'was not sent there',
  },
  {
    what: 'a discovery that is HTML',
    line: ISSUER_DISCOVERY,
    answer: () => ({ headers: { 'content-type': 'text/html' }, body: '<h1>Sign in</h1>' }),
    status: 7,
    says: 'HTML',
  },
  {
    what: 'no discovery',
    line: ISSUER_DISCOVERY,
    answer: () => ({ status: 404, body: 'no' }),
    status: 7,
    says: 'status 404',
  },
];

await t.test(
  'no failure of an exchange prints the Keystone token, and the next run prints nothing either',
  async (t) => {
    for (const { what, answer, line = ISSUER_EXCHANGE, status, says } of FAILURES) {
      await t.test(what, async (t) => {
        const setting = await setUpExchange(t);
        const { alice, issuer } = setting;
        issuer.answer = (request) =>
          request.line === line ? answer(issuer, request.form.get('subject_token') ?? '') : undefined;
        for (const run of ['first', 'second']) {
          const result = await alice.run();
          checkFailure(t, result, status, { says: [says] });
          checkNothingPrinted(t, setting, result.stdout + result.stderr);
          t.notMatch(result.stderr, ANY_JWT, `no JWT is printed in the ${run} run`);
        }
        t.equal(alice.countLogins(), 1, 'one login');
        issuer.answer = () => undefined;
        const { token } = checkSuccess(t, await alice.run('--force-refresh'));
        t.equal(readClaims(token)['aud'], 'prod');
      });
    }
  },
);

await t.test('the fast path prints no Keystone token after a failed exchange', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const issuer = await startStandInExchange(t, { keystone: keystone.url });
  const settings = { ...makeLoginSettings(`${keystone.url}/v3`), ...makeExchangeSettings(issuer) };
  const alice = setUp(t, { keystone, settings, runner: runPlugin });
  issuer.answer = ({ line }) =>
    line === ISSUER_EXCHANGE ? oauth(503, 'temporarily_unavailable', { 'retry-after': '60' }) : undefined;
  for (let run = 0; run < 3; run += 1) {
    checkFailure(t, await alice.run(), EXIT_STATUS.unreachable, { says: ['status 503'] });
  }
  t.equal(alice.countLogins(), 1);
  issuer.answer = () => undefined;
  const { token } = checkSuccess(t, await alice.run());
  const before = [alice.countRequests(), issuer.requests.length];
  // The alias is written by the first run whose files are not new.
  for (let run = 0; run < 3; run += 1) t.equal(checkSuccess(t, await alice.run()).token, token);
  t.same([alice.countRequests(), issuer.requests.length], before, 'from the cache');
});

await t.test('a token endpoint of another origin, and the target of a redirect, get nothing', async (t) => {
  const { alice, issuer } = await setUpExchange(t);
  const other = await startStandInExchange(t);
  const lies: readonly IssuerAnswer[] = [
    { body: { issuer: issuer.url, token_endpoint: `${other.url}/token` } },
    { body: { issuer: issuer.url, token_endpoint: 'token' } },
    ...[301, 302, 303, 307, 308].map((status) => ({ status, headers: { location: `${other.url}/token` } })),
  ];
  for (const answer of lies) {
    for (const line of [ISSUER_DISCOVERY, ISSUER_EXCHANGE]) {
      issuer.answer = (request) => (request.line === line ? answer : undefined);
      const result = await alice.run();
      t.not(result.status, 0, JSON.stringify(answer));
      t.equal(result.stdout, '');
    }
  }
  t.same(other.requests, []);
});

await t.test('an issuer that never finishes its answer ends with the deadline', async (t) => {
  const { alice, issuer } = await setUpExchange(t);
  issuer.answer = ({ line }, response) => {
    if (line !== ISSUER_EXCHANGE) return undefined;
    response.writeHead(200, JSON_TYPE).write('{"access_token":"');
    return 'sent';
  };
  const plain = alice.with({ OS_TOKEN_EXCHANGE_URL: undefined, OS_TOKEN_EXCHANGE_AUDIENCE: undefined });
  checkSuccess(t, await plain.run());
  checkFailure(t, await alice.run('--timeout=2'), EXIT_STATUS.unreachable, { says: [/the issuer .* did not respond/] });
});

// --- Refusals, revocations and outages ---

await t.test(
  'a refusal is remembered, and --force-refresh asks again',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const { alice, issuer } = await setUpExchange(t);
    issuer.answer = ({ line }) => (line === ISSUER_EXCHANGE ? oauth(403, 'access_denied') : undefined);
    for (let run = 0; run < 6; run += 1) {
      const says =
        run === 0 ? /: the issuer refused/ : /: this token exchange was refused .* another Keystone token is/;
      checkFailure(t, await alice.run(), EXIT_STATUS.refused, { says: [says, 'may not use this cluster'] });
    }
    t.same([alice.countLogins(), issuer.countExchanges()], [1, 1]);
    const onTest = alice.with(makeExchangeSettings(issuer, 'test'));
    checkFailure(t, await onTest.run(), EXIT_STATUS.refused, { says: ['may not use this cluster'] });
    t.equal(issuer.countExchanges(), 2, 'another cluster is another question');
    issuer.answer = () => undefined;
    checkSuccess(t, await alice.run('--force-refresh'));
  },
);

await t.test('a revoked Keystone token leads to one login and one more exchange', async (t) => {
  const { alice, keystone, issuer, wait } = await setUpExchange(t);
  checkSuccess(t, await alice.run());
  for (const token of keystone.sessions.keys()) keystone.revoke(token);
  wait(9 * MINUTE_MS);
  checkSuccess(t, await alice.run());
  t.same([alice.countLogins(), issuer.countExchanges()], [2, 3]);
});

await t.test('an issuer of another Keystone causes no second login', async (t) => {
  const { alice, issuer, wait } = await setUpExchange(t);
  checkSuccess(t, await alice.run());
  wait(9 * MINUTE_MS);
  issuer.answer = ({ line }) => (line === ISSUER_EXCHANGE ? oauth(400, 'invalid_grant') : undefined);
  for (let run = 0; run < 3; run += 1) {
    checkFailure(t, await alice.run(), EXIT_STATUS.refused, { says: ['check that OS_TOKEN_EXCHANGE_URL belongs to'] });
  }
  t.equal(alice.countLogins(), 1);
});

await t.test('without the issuer, a JWT is used until its end', async (t) => {
  const { alice, issuer, wait } = await setUpExchange(t);
  const { token } = checkSuccess(t, await alice.run());
  issuer.answer = () => oauth(503, 'temporarily_unavailable', { 'retry-after': '60' });
  wait(9 * MINUTE_MS);
  const warnings = [/is used until .*, because it cannot be renewed: the issuer/];
  t.equal(checkSuccess(t, await alice.run(), warnings).token, token);
  wait(MINUTE_MS);
  checkFailure(t, await alice.run(), EXIT_STATUS.unreachable, { says: ['status 503'] });
  issuer.answer = () => undefined;
  checkSuccess(t, await alice.run());
  t.equal(alice.countLogins(), 1);
});

await t.test('a refusal ends a JWT that cannot be renewed', async (t) => {
  const { alice, issuer, wait } = await setUpExchange(t);
  checkSuccess(t, await alice.run());
  issuer.answer = ({ line }) => (line === ISSUER_EXCHANGE ? oauth(403, 'access_denied') : undefined);
  wait(9 * MINUTE_MS);
  checkFailure(t, await alice.run(), EXIT_STATUS.refused, { says: ['may not use this cluster'] });
});

await t.test(
  'a rejection by the cluster leads to one new JWT',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const { alice, keystone, issuer } = await setUpExchange(t);
    const tokens: string[] = [];
    const run = async (): Promise<void> => {
      tokens.push(readExecCredential(t, (await runAsKubectl(alice)).stdout).token);
    };
    for (let count = 0; count < 4; count += 1) await run();
    t.equal(new Set(tokens).size, 2, 'the second run exchanges, and the later ones do not');
    t.same([alice.countLogins(), issuer.countExchanges()], [1, 2]);
    const checks = keystone.listRequests().filter((line) => line === 'HEAD /v3/auth/tokens');
    t.equal(checks.length, 1, 'Keystone is asked once about its token');
  },
);

await t.test(
  'a rejected JWT of a revoked Keystone token leads to one login',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const { alice, keystone, issuer } = await setUpExchange(t);
    const first = readExecCredential(t, (await runAsKubectl(alice)).stdout).token;
    for (const token of keystone.sessions.keys()) keystone.revoke(token);
    const second = readExecCredential(t, (await runAsKubectl(alice)).stdout).token;
    t.not(second, first);
    t.same([alice.countLogins(), issuer.countExchanges()], [2, 2]);
  },
);

await t.test(
  'a rejected JWT stays in use if the issuer does not answer',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async (t) => {
    const { alice, issuer } = await setUpExchange(t);
    const first = readExecCredential(t, (await runAsKubectl(alice)).stdout).token;
    issuer.answer = () => oauth(503, 'temporarily_unavailable', { 'retry-after': '60' });
    const second = await runAsKubectl(alice);
    t.equal(checkSuccess(t, second, ['cannot be renewed']).token, first);
    const before = issuer.requests.length;
    t.equal(checkSuccess(t, await runAsKubectl(alice)).token, first, 'the same kubectl is not asked to wait again');
    t.equal(issuer.requests.length, before);
  },
);

// --- Files ---

await t.test('the cache holds both tokens in private files, and nothing that was typed', async (t) => {
  const { alice, issuer } = await setUpExchange(t);
  checkSuccess(t, await alice.run());
  const files = readdirSync(alice.home.cache).filter((name) => name.endsWith('.token'));
  t.equal(files.length, 2);
  const abouts = readdirSync(alice.home.cache).filter((name) => name.endsWith('.about'));
  const text = abouts.map((name) => readFileSync(join(alice.home.cache, name), 'utf8')).join('\n');
  t.notMatch(text, ANY_JWT, 'the metadata contains no JWT');
  t.ok(text.includes(issuer.url));
});

await t.test('no level of the log shows one of the tokens', async (t) => {
  const setting = await setUpExchange(t);
  const { alice, issuer, wait } = setting;
  const answers: readonly StandInExchange['answer'][] = [
    () => undefined,
    // An issuer that repeats the token, in a place that messages quote.
    ({ line, form }) =>
      line === ISSUER_EXCHANGE
        ? { status: 400, body: { error: 'invalid_grant', error_description: form.get('subject_token') } }
        : undefined,
    ({ line, form }) =>
      line === ISSUER_EXCHANGE
        ? { status: 307, headers: { location: `/?${form.get('subject_token') ?? ''}` } }
        : undefined,
  ];
  for (const answer of answers) {
    issuer.answer = answer;
    wait(9 * MINUTE_MS);
    for (const level of ['-v', '-vv', '-vvv']) {
      const { stderr } = await alice.run(level, '--log-format=json');
      t.not(stderr, '');
      checkNothingPrinted(t, setting, stderr);
      t.notMatch(stderr, ANY_JWT, 'no JWT');
    }
  }
});
