// Tests the setup that all other tests with Keystone depend on.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

import { findKeystone } from '../../scripts/keystone/find-keystone.ts';
import { PYTHON } from '../../scripts/lib/python.ts';
import { createShortLivedCredential, revokeToken, makeTotpCode, validateToken } from '../support/tenancy.ts';
import type { TokenFacts } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { getTlsKeystone } from '../support/keystone-tls.ts';
import { getMutualTlsKeystone } from '../support/keystone-mutual-tls.ts';
import { testWithKeystone } from '../support/test-environment.ts';

interface Answer {
  readonly status: number;
  readonly token: string | undefined;
  readonly body: string;
}

async function authenticate(url: string, auth: object): Promise<Answer> {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(`${url}/v3/auth/tokens`, { method: 'POST', headers, body: JSON.stringify({ auth }) });
  const token = response.headers.get('x-subject-token') ?? undefined;
  return { status: response.status, token, body: await response.text() };
}

function byPassword(user: { id: string; password: string }, scope?: object): object {
  return { identity: { methods: ['password'], password: { user: { id: user.id, password: user.password } } }, scope };
}

function get(url: string, options: RequestOptions): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, options, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    })
      .on('error', reject)
      .end();
  });
}

testWithKeystone('alice logs in, and her requests are counted', async (t, environment) => {
  const { domain, projects, users } = environment.tenancy;
  const address = watchRequests(environment.http);
  const user = { name: users.alice.name, domain: { name: domain.name }, password: users.alice.password };
  const scope = { project: { name: projects.demo.name, domain: { name: domain.name } } };
  const answer = await authenticate(address.url, { identity: { methods: ['password'], password: { user } }, scope });
  t.equal(answer.status, 201);
  t.strictSame(listRequests(address), [
    { method: 'POST', path: '/v3/auth/tokens', status: 201, clientName: undefined },
  ]);

  const facts = await validateToken(environment.http, answer.token ?? '');
  t.match(facts, { user: { name: 'alice' }, project: { name: 'demo' }, roles: ['member', 'reader'], system: false });
  t.equal(listRequests(address).length, 1, "the test's own requests are not counted");

  await revokeToken(environment.http, answer.token ?? '');
  t.equal(await validateToken(environment.http, answer.token ?? ''), undefined);
});

testWithKeystone('the users have the documented properties', async (t, environment) => {
  const { users, projects, domain, trust, applicationCredentials } = environment.tenancy;
  const { url } = environment.http;
  const demo = { project: { id: projects.demo.id } };
  const factsOf = async (auth: object): Promise<TokenFacts | undefined> => {
    const { status, token, body } = await authenticate(url, auth);
    t.equal(status, 201, status === 201 ? 'logs in' : body);
    return token === undefined ? undefined : validateToken(environment.http, token);
  };
  const refusal = async (auth: object): Promise<unknown> => {
    const { status, body } = await authenticate(url, auth);
    t.equal(status, 401);
    return JSON.parse(body);
  };

  t.match(await factsOf(byPassword(users.alice, { project: { id: projects.other.id } })), { roles: ['reader'] });
  t.match(await factsOf(byPassword(users.alice, { domain: { id: domain.id } })), { domain: { name: 'My Domain' } });
  t.match(await factsOf(byPassword(users.alice, { system: { all: true } })), { system: true });
  t.match(await factsOf(byPassword(users.bob)), { project: { name: 'demo' }, roles: ['member', 'reader'] });
  const byTrust = byPassword(users.bob, { 'OS-TRUST:trust': { id: trust.id } });
  t.match(await factsOf(byTrust), { user: { name: 'bob' }, project: { name: 'demo' }, trust: trust.id });

  const generic = { error: { message: 'The request you have made requires authentication.' } };
  t.match(await refusal(byPassword(users.mallory, demo)), generic);
  t.match(await refusal(byPassword(users.disabled)), generic);
  t.match(await refusal(byPassword(users.expired, demo)), { error: { message: /The password is expired/ } });

  const byCredential = ({ id, secret }: { id: string; secret: string }): object => ({
    identity: { methods: ['application_credential'], application_credential: { id, secret } },
  });
  t.match(await factsOf(byCredential(applicationCredentials.valid)), { user: { name: 'alice' }, roles: ['member'] });
  const shortLived = await createShortLivedCredential(environment.http, environment.tenancy);
  const ofShortLived = await factsOf(byCredential(shortLived));
  t.ok(Date.parse(ofShortLived?.expiresAt ?? '') < Date.now() + 2_400_000, 'expires with its application credential');
  t.match(await refusal(byCredential(applicationCredentials.expired)), generic);

  const { id, password, totpSecret } = users.mfa;
  // The order changes with each start of the server.
  const { required_auth_methods: required } = (await refusal(byPassword(users.mfa, demo))) as Record<string, unknown>;
  t.same(
    (required as string[][]).map((rule) => rule.toSorted()),
    [['password', 'totp']],
  );
  const bothFactors = {
    methods: ['password', 'totp'],
    password: { user: { id, password } },
    totp: { user: { id, passcode: makeTotpCode(totpSecret, Date.now()) } },
  };
  t.match(await factsOf({ identity: bothFactors, scope: demo }), {
    user: { name: 'mfa' },
    methods: ['password', 'totp'],
  });
});

testWithKeystone(
  'Keystone serves TLS with the CA of the tests, with and without a client certificate',
  async (t, environment) => {
    const { pki } = environment;
    const address = watchRequests(getTlsKeystone());
    const ca = readFileSync(pki.ca);
    const own = { cert: readFileSync(pki.client.cert), key: readFileSync(pki.client.key) };

    t.match(await get(`${address.url}/v3`, { ca }), { status: 200, body: address.url });
    t.match(await get(`${address.url}/v3`, { ca, ...own }), { status: 200 });
    await t.rejects(get(`${address.url}/v3`, { ca: readFileSync(pki.untrusted.ca) }), 'with a strange authority');
    t.strictSame(
      listRequests(address).map((entry) => entry.clientName),
      [undefined, 'alice'],
    );
  },
);

testWithKeystone('a server that requires a client certificate refuses clients without one', async (t, environment) => {
  const { pki } = environment;
  const address = watchRequests(getMutualTlsKeystone());
  const ca = readFileSync(pki.ca);
  const own = { cert: readFileSync(pki.client.cert), key: readFileSync(pki.client.key) };

  await t.rejects(get(`${address.url}/v3`, { ca }));
  t.strictSame(listRequests(address), []);
  t.match(await get(`${address.url}/v3`, { ca, ...own }), { status: 200 });
  t.match(listRequests(address), [{ path: '/v3', status: 200, clientName: 'alice' }]);
});

const TWO_THREADS = `
import threading
from thread_local_token import AuthContextMiddleware, separate_tokens
separate_tokens()
middleware = AuthContextMiddleware(None)
middleware.token = 'mine'
other = threading.Thread(target=setattr, args=(middleware, 'token', 'theirs'))
other.start()
other.join()
print(middleware.token)
`;

testWithKeystone('a request does not go on with the token of a request in another thread', async (t) => {
  const packages = await findKeystone();
  if ('missing' in packages) throw new Error(packages.missing);
  const path = ['scripts/keystone', ...(packages.pythonPath === undefined ? [] : [packages.pythonPath])].join(':');
  const env = { PYTHONPATH: path };
  const { stdout } = await promisify(execFile)(PYTHON, ['-s', '-c', TWO_THREADS], { env });
  t.equal(stdout, 'mine\n');
});
