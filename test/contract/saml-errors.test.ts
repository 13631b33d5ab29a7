// Logins with SAML at web servers and identity providers that do not do their part, with stand-ins. A failed run prints one
// line that says what to do. The password goes to the provider only, and the answer to Keystone's web server only.

import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import {
  ECP,
  makeProviderEnvelope,
  makeRequestEnvelope,
  SIGNED,
  SOAP,
  startStandInSaml,
} from '../support/stand-in-saml.ts';
import type { SamlAnswers, SamlResponse, StandInSaml } from '../support/stand-in-saml.ts';

const PASSWORD = 'canary-w7Qz-password';
const RESOURCE = '/v3/OS-FEDERATION/identity_providers/campus/protocols/saml2/auth';

function setUpAlice(t: Test, saml: StandInSaml, settings: EnvVars = {}): Fixture {
  return setUp(t, {
    keystone: saml,
    settings: {
      OS_AUTH_TYPE: 'v3samlpassword',
      OS_IDENTITY_PROVIDER: 'campus',
      OS_IDENTITY_PROVIDER_URL: saml.providerUrl,
      OS_PROTOCOL: 'saml2',
      OS_UNSCOPED: 'true',
      OS_USERNAME: 'alice',
      OS_PASSWORD: PASSWORD,
      ...settings,
    },
  });
}

const ALL = [`GET ${RESOURCE}`, 'POST /ecp', 'POST /saml/paos?a=1&b=2', `GET ${RESOURCE}`];

void t.test('a login sends what the servers need, and passes the messages on as they are', async (t) => {
  const saml = await startStandInSaml(t);
  checkSuccess(t, await setUpAlice(t, saml).run(), [/no scope/]);
  t.strictSame(saml.listRequests(), ALL);
  const [first, second, third, last] = saml.requests;
  t.match(first?.headers, {
    accept: 'application/json, application/vnd.paos+xml',
    paos: `ver="urn:liberty:paos:2003-08";"${ECP}"`,
    authorization: undefined,
  });
  t.match(second?.headers, {
    'content-type': 'text/xml; charset=utf-8',
    authorization: `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`,
  });
  const asked = makeRequestEnvelope(saml.consumerUrl);
  t.equal(second?.body, asked.replace(/<s:Header>.*<\/s:Header>/, ''), 'the request is passed on without its header');
  t.match(third?.headers, { 'content-type': 'application/vnd.paos+xml', authorization: undefined, cookie: undefined });
  const relayState =
    `<b:RelayState xmlns:b="${ECP}" xmlns:e="${SOAP}" e:mustUnderstand="1" ` +
    'e:actor="http://schemas.xmlsoap.org/soap/actor/next">a&amp;b</b:RelayState>';
  const answer = makeProviderEnvelope(saml.consumerUrl).replace(/<e:Response[^>]*>/, relayState);
  t.equal(third?.body, answer, 'in the answer, only the header changes');
  t.match(third?.body, SIGNED);
  t.match(last?.headers, { cookie: 'session=s1', authorization: undefined });
});

void t.test('a relay state is optional, and all cookies of the web server are sent back', async (t) => {
  const saml = await startStandInSaml(t);
  const block = `<p:Request responseConsumerURL="${saml.consumerUrl}"/>`;
  saml.answers.request = {
    headers: { 'set-cookie': ['first=1; secure', 'changed=old', 'bad=a b', 'no pair'] },
    body: makeRequestEnvelope(saml.consumerUrl, block),
  };
  saml.answers.consumer = { status: 200, headers: { 'set-cookie': ['changed=new; Max-Age=60', 'session=s2'] } };
  checkSuccess(t, await setUpAlice(t, saml).run(), [/no scope/]);
  t.equal(saml.requests[2]?.headers.cookie, 'first=1; changed=old');
  t.match(saml.requests[2]?.body, '<s:Header></s:Header>');
  t.equal(saml.requests[3]?.headers.cookie, 'first=1; changed=new; session=s2');
});

interface SamlFailure {
  readonly answers: (saml: StandInSaml) => Partial<SamlAnswers>;
  readonly says: readonly (string | RegExp)[];
  readonly status?: number;
  /** How many of the requests of a login are sent. */
  readonly count: number;
}

const XML = { 'content-type': 'text/xml' };
const html: SamlResponse = { headers: { 'content-type': 'text/html' }, body: '<!DOCTYPE html><html>Sign in</html>' };
const fault = (code: string, reason: string): string =>
  `<s:Envelope xmlns:s="${SOAP}"><s:Body><s:Fault><faultcode>s:${code}</faultcode>` +
  `<faultstring>${reason}</faultstring></s:Fault></s:Body></s:Envelope>`;
const samlStatus = (codes: string, message = ''): string =>
  `<q:Response><q:Status>${codes}<q:StatusMessage>${message}</q:StatusMessage></q:Status></q:Response>`;
const statusCode = (name: string, inner = ''): string =>
  `<q:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${name}">${inner}</q:StatusCode>`;
const block = (url: string): string => `<p:Request responseConsumerURL="${url}"/>`;

/** Answers of the web server to the first request, after which nothing may be sent. */
const asks =
  (body: (saml: StandInSaml) => string): SamlFailure['answers'] =>
  (saml) => ({ request: { body: body(saml) } });
/** Answers of the provider, after which nothing may be sent. */
const provides =
  (body: (saml: StandInSaml) => string, status = 200): SamlFailure['answers'] =>
  (saml) => ({ provider: { status, headers: XML, body: body(saml) } });

const FAILURES: Readonly<Record<string, SamlFailure>> = {
  // --- The web server of Keystone ---
  'the web server redirects a program like a browser': {
    answers: () => ({ request: { status: 302, headers: { location: 'https://idp.example/sso?x=1' } } }),
    says: ['no SAML logins to programs (ECP)', 'redirects to https://idp.example,', 'use v3websso'],
    count: 1,
  },
  'the web server shows a page for browsers': {
    answers: () => ({ request: html }),
    says: ['no SAML logins to programs (ECP)', 'DOCTYPE'],
    count: 1,
  },
  'there is no SAML in front of Keystone': {
    answers: () => ({ request: { status: 401, body: '{"error":{"message":"no"}}' } }),
    says: ['no SAML logins to programs (ECP)', 'status 401'],
    count: 1,
  },
  'Keystone does not know the provider': {
    answers: () => ({ request: { status: 404, body: '{"error":{"message":"no","code":404}}' } }),
    says: ['no identity provider "campus" with the protocol "saml2"'],
    count: 1,
  },
  'the answer is wanted at another origin': {
    answers: asks(() => makeRequestEnvelope('https://evil.example/saml/paos')),
    says: ['wants the answer of the identity provider at https://evil.example;', 'nothing was sent there'],
    status: EXIT_STATUS.protocol,
    count: 1,
  },
  'the answer is wanted at the same host with another scheme': {
    answers: asks(({ consumerUrl }) => makeRequestEnvelope(consumerUrl.replace('http:', 'https:'))),
    says: ['wants the answer of the identity provider at https://127.0.0.1:'],
    status: EXIT_STATUS.protocol,
    count: 1,
  },
  'the answer is wanted at no URL': {
    answers: asks(() => makeRequestEnvelope('/saml/paos')),
    says: ['at no valid URL'],
    status: EXIT_STATUS.protocol,
    count: 1,
  },
  'the request names two URLs': {
    answers: asks(({ consumerUrl }) =>
      makeRequestEnvelope(consumerUrl, block(consumerUrl) + block('https://evil.example')),
    ),
    says: ['its answer has several Request blocks'],
    count: 1,
  },
  'the request has no URL': {
    answers: asks(({ consumerUrl }) => makeRequestEnvelope(consumerUrl, '<p:Request/>')),
    says: ['its answer has no responseConsumerURL'],
    count: 1,
  },
  'the request has two relay states': {
    answers: asks(({ consumerUrl }) =>
      makeRequestEnvelope(
        consumerUrl,
        `${block(consumerUrl)}<e:RelayState>a</e:RelayState><e:RelayState>b</e:RelayState>`,
      ),
    ),
    says: ['its answer has several RelayState blocks'],
    count: 1,
  },
  'the web server wants another message sent with the password': {
    answers: asks(({ consumerUrl }) =>
      makeRequestEnvelope(consumerUrl).replaceAll('q:AuthnRequest', 'q:LogoutRequest'),
    ),
    says: ['its answer does not contain one SAML AuthnRequest'],
    count: 1,
  },
  'the web server wants a second message sent with the password': {
    answers: asks(({ consumerUrl }) =>
      makeRequestEnvelope(consumerUrl).replace('</s:Body>', '<q:LogoutRequest/></s:Body>'),
    ),
    says: ['its answer does not contain one SAML AuthnRequest'],
    count: 1,
  },
  'the envelope has two bodies': {
    answers: asks(({ consumerUrl }) => makeRequestEnvelope(consumerUrl).replace('<s:Body>', '<s:Body/><s:Body>')),
    says: ['its answer is not a SOAP envelope'],
    count: 1,
  },
  'the request defines entities': {
    answers: asks(
      ({ consumerUrl }) => `<!DOCTYPE x [<!ENTITY a "b">]>${makeRequestEnvelope(consumerUrl).replace(/^.*\r\n/, '')}`,
    ),
    says: ['its answer has a DOCTYPE'],
    count: 1,
  },
  'the request is too large': {
    answers: asks(({ consumerUrl }) => makeRequestEnvelope(consumerUrl).replace('ä', 'x'.repeat(600_000))),
    says: ['its answer is too large'],
    count: 1,
  },
  'the request is larger than any response': {
    answers: asks(() => 'x'.repeat(2_000_000)),
    says: ['larger than 1 MiB'],
    status: EXIT_STATUS.protocol,
    count: 1,
  },
  // --- The identity provider ---
  'the password is wrong': {
    answers: () => ({ provider: { ...html, status: 401 } }),
    says: ['refused alice: wrong user name or password', 'check OS_USERNAME and OS_PASSWORD', 'not of Keystone'],
    count: 2,
  },
  'the provider takes no password': {
    answers: () => ({ provider: { status: 401, headers: { 'www-authenticate': 'Negotiate' } } }),
    says: ['takes no password here: it wants Negotiate', 'check OS_IDENTITY_PROVIDER_URL'],
    count: 2,
  },
  'the provider forbids the login': {
    answers: () => ({ provider: { status: 403 } }),
    says: ['forbids the login of alice'],
    count: 2,
  },
  'the provider shows a login page': {
    answers: () => ({ provider: html }),
    says: ['answers with HTML, not with a SAML message', 'OS_IDENTITY_PROVIDER_URL: it must be the URL for programs'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the provider redirects elsewhere': {
    answers: () => ({ provider: { status: 307, headers: { location: 'https://evil.example/ecp' } } }),
    says: ['redirects to https://evil.example; the password was not sent there'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the provider redirects to another page of its own': {
    answers: () => ({ provider: { status: 307, headers: { location: '/login' } } }),
    says: ['redirects to http://127.0.0.1', 'the password was not sent there'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'there is no such page': {
    answers: () => ({ provider: { status: 404, body: 'no' } }),
    says: ['answers with status 404'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the provider fails': {
    answers: () => ({ provider: { status: 503, headers: { 'retry-after': '7' } } }),
    says: ['failed with error 503', 'Retry-After: 7'],
    status: EXIT_STATUS.unreachable,
    count: 2,
  },
  'the provider limits the rate': {
    answers: () => ({ provider: { status: 429 } }),
    says: ['limits the rate of logins'],
    status: EXIT_STATUS.unreachable,
    count: 2,
  },
  'the provider says why it refuses': {
    answers: provides(() => fault('Client', `no [2J\n  such ${PASSWORD} ${'x'.repeat(999)}`), 500),
    says: ['refused the login of alice: no [2J such [redacted]'],
    count: 2,
  },
  'the provider says why it fails': {
    answers: provides(() => fault('Server', 'the database is down'), 500),
    says: ['failed to log in alice: the database is down', 'try again later'],
    status: EXIT_STATUS.unreachable,
    count: 2,
  },
  'the provider does not say why it refuses': {
    answers: provides(() => fault('Client', '')),
    says: ['refused the login of alice: it does not say why'],
    count: 2,
  },
  'a SAML response says why the provider refuses': {
    answers: provides(({ consumerUrl }) =>
      makeProviderEnvelope(
        consumerUrl,
        samlStatus(statusCode('Responder', statusCode('AuthnFailed')), 'wrong\tpassword'),
      ),
    ),
    says: ['refused the login of alice: AuthnFailed, wrong password'],
    count: 2,
  },
  'the answer is not XML': {
    answers: provides(() => 'no'),
    says: ['the answer of the identity provider at http://127.0.0.1', 'is not XML', 'check OS_IDENTITY_PROVIDER_URL'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer has a document type': {
    answers: provides(({ consumerUrl }) => `<!DOCTYPE s:Envelope>${makeProviderEnvelope(consumerUrl)}`),
    says: ['has a DOCTYPE'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer is not in UTF-8': {
    answers: provides(
      ({ consumerUrl }) => `<?xml version="1.0" encoding="UTF-16"?>${makeProviderEnvelope(consumerUrl)}`,
    ),
    says: ['is not in UTF-8'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer nests without end': {
    answers: provides(({ consumerUrl }) => makeProviderEnvelope(consumerUrl, '<a>'.repeat(90_000))),
    says: ['is too deep'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer contains two responses': {
    answers: provides(({ consumerUrl }) => makeProviderEnvelope(consumerUrl, SIGNED + SIGNED)),
    says: ['does not contain one SAML Response'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer has no header': {
    answers: provides(({ consumerUrl }) => makeProviderEnvelope(consumerUrl).replace(/<s:Header>.*<\/s:Header>/, '')),
    says: ['has no AssertionConsumerServiceURL'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer names two receivers': {
    answers: provides(({ consumerUrl }) => makeProviderEnvelope(consumerUrl).replace(/(<e:Response[^>]*>)/, '$1$1')),
    says: ['has several Response blocks'],
    status: EXIT_STATUS.protocol,
    count: 2,
  },
  'the answer is for another web server': {
    answers: provides(() => makeProviderEnvelope('https://other.example/paos')),
    says: ['answers to another URL than the one at which Keystone wants the answer; it was not sent'],
    status: EXIT_STATUS.protocol,
    count: 3,
  },
  // --- The web server of Keystone again ---
  'the web server does not trust the provider': {
    answers: () => ({ consumer: { status: 400, headers: { 'set-cookie': 'session=s1' } } }),
    says: [
      'Keystone does not accept the answer of the identity provider for alice',
      'status 400',
      'log of its web server',
    ],
    count: 3,
  },
  'the web server fails at the answer, as Shibboleth does for a wrong signature': {
    answers: () => ({ consumer: { ...html, status: 500 } }),
    says: ['Keystone does not accept the answer', 'status 500'],
    count: 3,
  },
  'the web server opens no session': {
    answers: () => ({ consumer: { status: 200 } }),
    says: ['Keystone accepted the answer of the identity provider for alice', 'but opened no session'],
    count: 4,
  },
  'a proxy cannot reach the web server': {
    answers: () => ({ consumer: { status: 503 } }),
    says: ['Keystone is unavailable (503'],
    status: EXIT_STATUS.unreachable,
    count: 3,
  },
  'the session is not valid': {
    answers: () => ({ resource: { status: 302, headers: { location: 'https://idp.example/sso' } } }),
    says: ['redirects to https://idp.example'],
    status: EXIT_STATUS.protocol,
    count: 4,
  },
  'no mapping matches the user': {
    answers: () => ({ resource: { status: 401, body: '{"error":{"message":"no","code":401}}' } }),
    says: ['Keystone refused the SAML login for alice', 'its mapping does not match the user'],
    count: 4,
  },
};

void t.test('a login that fails is explained, and sends nothing further', async (t) => {
  for (const [name, { answers, says, status = EXIT_STATUS.refused, count }] of Object.entries(FAILURES)) {
    await t.test(name, async (t) => {
      const saml = await startStandInSaml(t);
      Object.assign(saml.answers, answers(saml));
      const alice = setUpAlice(t, saml);
      const result = await alice.run();
      checkFailure(t, result, status, { says });
      t.notMatch(result.stderr, /[<>]/, 'no markup');
      t.strictSame(saml.listRequests(), ALL.slice(0, count));
      const secrets = saml.requests.filter(({ headers, body }) => JSON.stringify([headers, body]).includes(PASSWORD));
      t.strictSame(secrets, [], 'the password is in no header or body as it is');
      t.equal(saml.requests.filter(({ headers }) => headers.authorization !== undefined).length, count > 1 ? 1 : 0);
      t.notOk(alice.readCache().includes(PASSWORD));
    });
  }
});

void t.test('the web server is told about a mismatch, and gets nothing of the answer', async (t) => {
  const saml = await startStandInSaml(t);
  saml.answers.provider = { headers: XML, body: makeProviderEnvelope('https://other.example/paos') };
  saml.answers.consumer = { status: 500 };
  const result = await setUpAlice(t, saml).run();
  checkFailure(t, result, EXIT_STATUS.protocol, { says: ['it was not sent'] });
  t.match(saml.requests[2]?.body, /<e:Fault><faultcode>e:Server<\/faultcode>/);
  t.notMatch(saml.requests[2]?.body, 'Response ID');
});

void t.test('settings that cannot work are refused before anything is sent', async (t) => {
  const saml = await startStandInSaml(t);
  for (const [settings, status, says] of [
    [{ OS_IDENTITY_PROVIDER_URL: 'idp.example' }, EXIT_STATUS.config, ['OS_IDENTITY_PROVIDER_URL is not a URL']],
    [
      { OS_IDENTITY_PROVIDER_URL: 'http://idp.example/ecp' },
      EXIT_STATUS.config,
      ['OS_IDENTITY_PROVIDER_URL is http://'],
    ],
    [{ OS_IDENTITY_PROVIDER_URL: 'https://a:b@idp.example' }, EXIT_STATUS.config, ['must not contain a user name']],
    [{ OS_USERNAME: 'acme:alice' }, EXIT_STATUS.config, ['OS_USERNAME contains a colon']],
    [
      { OS_IDENTITY_PROVIDER_URL: undefined, OS_PROTOCOL: undefined, OS_PASSWORD: undefined },
      EXIT_STATUS.interaction,
      ['OS_PROTOCOL', 'OS_IDENTITY_PROVIDER_URL', 'OS_PASSWORD'],
    ],
  ] as const) {
    checkFailure(t, await setUpAlice(t, saml, settings).run(), status, { says });
  }
  t.strictSame(saml.listRequests(), []);
});

void t.test('a clouds.yaml in the current folder cannot say where a password from elsewhere goes', async (t) => {
  const saml = await startStandInSaml(t);
  const alice = setUpAlice(t, saml, { OS_IDENTITY_PROVIDER_URL: undefined, OS_CLOUD: 'evil' });
  const cloud = { auth: { identity_provider_url: 'https://evil.example/ecp' } };
  alice.writeFile('checkout/clouds.yaml', { clouds: { evil: cloud } });
  const result = await alice.inFolder(join(alice.home.path, 'checkout')).run();
  checkFailure(t, result, EXIT_STATUS.config, {
    says: ['identity_provider_url', 'must not decide where OS_PASSWORD goes'],
  });
  t.strictSame(saml.listRequests(), []);
});

void t.test('a refused login is not sent again, and another password is', async (t) => {
  const saml = await startStandInSaml(t);
  const { provider } = saml.answers;
  saml.answers.provider = { status: 401 };
  const alice = setUpAlice(t, saml).withStoppedClock();
  for (const says of [['refused alice'], ['is not tried again yet', 'refused alice'], ['is not tried again yet']]) {
    checkFailure(t, await alice.run(), EXIT_STATUS.refused, { says });
  }
  t.strictSame(saml.listRequests(), ALL.slice(0, 2));
  saml.answers.provider = provider;
  checkSuccess(t, await alice.with({ OS_PASSWORD: 'another-password' }).run(), [/no scope/]);
});
