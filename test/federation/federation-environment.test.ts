// Tests the servers that all tests of federated logins depend on. It does not use any code of src.

import { createHash, randomBytes } from 'node:crypto';

import type { FederationAddress } from '../../scripts/federation/federation.ts';
import type { OidcClient } from '../../scripts/federation/identity-provider.ts';
import { browse } from '../support/scripted-browser.ts';
import { configureIssuer, decideDevice, federatedAuthPath, listDevicePolls } from '../support/federation.ts';
import { reserveDashboardPort, testWithFederation, waitForRequests } from '../support/federation.ts';
import { sendRequest } from '../support/send-request.ts';
import type { ReceivedResponse } from '../support/send-request.ts';
import { callKeystone, logInAsAdmin, validateToken } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { waitUntil } from '../support/wait-until.ts';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const redirectUri = 'http://localhost:12345/some/callback';

/** Watches the addresses of one test, and prepares requests that several tests send. */
function watchFederation({ keystone, identityProvider, clients, provider, protocol }: FederationAddress, ca: string) {
  const address = watchRequests(keystone);
  const issuer = watchRequests(identityProvider);
  const basic = ({ id, secret = '' }: OidcClient): Record<string, string> => ({
    Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
  });
  return {
    address,
    issuer,
    basic,
    askIssuer: (form: Record<string, string>, client: OidcClient = clients.confidential): Promise<ReceivedResponse> =>
      client.secret === undefined
        ? sendRequest(`${issuer.url}/token`, { form: { client_id: client.id, ...form }, ca })
        : sendRequest(`${issuer.url}/token`, { form, headers: basic(client), ca }),
    exchange: (accessToken: string, path = federatedAuthPath({ provider, protocol })): Promise<ReceivedResponse> =>
      sendRequest(address.url + path, { method: 'POST', headers: { Authorization: `Bearer ${accessToken}` }, ca }),
    rescope: (token: string, scope: object): Promise<ReceivedResponse> =>
      sendRequest(`${address.url}/v3/auth/tokens`, {
        json: { auth: { identity: { methods: ['token'], token: { id: token } }, scope } },
        ca,
      }),
  };
}

function read(answer: ReceivedResponse, name: string): string {
  const value = (JSON.parse(answer.body) as Record<string, unknown>)[name];
  if (typeof value !== 'string') throw new Error(`no ${name}: ${answer.status} ${answer.body}`);
  return value;
}

/** Makes an assertion message with the refusal, but without a token. */
function why({ status, body }: ReceivedResponse): string {
  return status < 300 ? `status ${status}` : body;
}

function tokenOf({ status, headers, body }: ReceivedResponse): string {
  const token = headers['x-subject-token'];
  if (typeof token !== 'string') throw new Error(`no token: ${status} ${body}`);
  return token;
}

testWithFederation(
  'the password of a federated user leads to a token for a project or a domain',
  async (t, federation, environment) => {
    const { askIssuer, exchange, rescope, address, issuer } = watchFederation(federation, environment.pki.ca);
    const { alice } = federation.users;
    const form = { grant_type: 'password', username: alice.name, password: alice.password, scope: 'openid profile' };
    const issued = await askIssuer(form);
    t.equal(issued.status, 200, why(issued));
    const unscoped = await exchange(read(issued, 'access_token'));
    t.equal(unscoped.status, 201, why(unscoped));
    t.match(JSON.parse(unscoped.body), { token: { methods: ['openid'], user: { name: alice.email } } });

    const { demo, other } = environment.tenancy.projects;
    const scoped = await rescope(tokenOf(unscoped), { project: { id: demo.id } });
    t.equal(scoped.status, 201, why(scoped));
    t.match(await validateToken(environment.http, tokenOf(scoped)), {
      user: { name: alice.email },
      project: { name: 'demo' },
      roles: ['member', 'reader'],
      methods: ['openid', 'token'],
    });
    const forDomain = await rescope(tokenOf(unscoped), { domain: { id: environment.tenancy.domain.id } });
    t.match(await validateToken(environment.http, tokenOf(forDomain)), {
      domain: { name: 'My Domain' },
      roles: ['reader'],
    });
    t.equal((await rescope(tokenOf(unscoped), { project: { id: other.id } })).status, 401, 'another project');

    const version = await sendRequest(`${address.url}/v3`, { ca: environment.pki.ca });
    t.match(version.body, `"href": "${address.url}/v3/"`, 'Keystone knows its public address');
    const paths = [federatedAuthPath(federation), ...Array<string>(3).fill('/v3/auth/tokens'), '/v3'];
    t.strictSame(
      (await waitForRequests({ address, ca: environment.pki.ca }, paths.length)).map(({ path }) => path),
      paths,
      'requests through Apache are counted',
    );
    t.match(listRequests(issuer), [{ method: 'POST', path: '/token', status: 200 }]);
  },
);

testWithFederation(
  'the identity provider, Apache and the mapping each reject a wrong login',
  async (t, federation, environment) => {
    const { askIssuer, exchange } = watchFederation(federation, environment.pki.ca);
    const { alice, otto, stranger } = federation.users;
    const form = (person: { name: string; password: string }): Record<string, string> => ({
      grant_type: 'password',
      username: person.name,
      password: person.password,
    });
    const wrong = await askIssuer(form({ ...alice, password: 'wrong' }));
    t.match(wrong, { status: 400, body: '"invalid_grant"' });
    t.match(
      await askIssuer({ grant_type: 'client_credentials' }, { ...federation.clients.confidential, secret: 'no' }),
      {
        status: 401,
        body: '"invalid_client"',
      },
    );
    t.equal((await askIssuer(form(otto))).status, 400, 'without the one-time password');
    t.equal((await askIssuer({ ...form(otto), totp: otto.otp })).status, 200, 'with the one-time password');

    const token = read(await askIssuer(form(alice)), 'access_token');
    const unknown = (what: { provider?: string; protocol?: string }): string =>
      federatedAuthPath({ ...federation, ...what });
    const json = { 'content-type': 'application/json' };
    t.match(await exchange(token, unknown({ provider: 'nonsense' })), { status: 404, headers: json });
    t.match(await exchange(token, unknown({ protocol: 'mapped' })), { status: 404, headers: json });
    const unsupported = await exchange(token, unknown({ protocol: 'nonsense' }));
    t.match(unsupported, { status: 401, headers: json }, 'Keystone does not have this method');
    const html = { 'content-type': /^text\/html/, 'www-authenticate': /^Bearer error="invalid_token"/ };
    t.match(await exchange('nonsense'), { status: 401, headers: html });
    const strange = await exchange(read(await askIssuer(form(stranger)), 'access_token'));
    t.match(strange, { status: 401, headers: json }, 'no mapping matches the user');
  },
);

testWithFederation('a client gets a token with its own credentials', async (t, federation, environment) => {
  const { askIssuer, exchange } = watchFederation(federation, environment.pki.ca);
  const { confidential, awkward } = federation.clients;
  for (const client of [confidential, awkward]) {
    const issued = await askIssuer({ grant_type: 'client_credentials', scope: 'openid profile' }, client);
    t.equal(issued.status, 200, why(issued));
    const unscoped = await exchange(read(issued, 'access_token'));
    t.match(JSON.parse(unscoped.body), { token: { user: { name: client.email } } });
  }
});

testWithFederation(
  'an access token expires, and a refresh token gets the next one',
  async (t, federation, environment) => {
    const { askIssuer, exchange, issuer } = watchFederation(federation, environment.pki.ca);
    const { ca } = environment.pki;
    const { alice } = federation.users;
    await configureIssuer(issuer.url, ca, { accessTokenSeconds: 1 });
    const client = federation.clients.public;
    const form = { grant_type: 'password', username: alice.name, password: alice.password, scope: 'openid' };
    const first = await askIssuer(form, client);
    t.match(JSON.parse(first.body), { expires_in: 1 });
    // The provider counts whole seconds.
    const expired = (Math.floor(Date.now() / 1000) + 2) * 1000;
    await waitUntil('the end of the access token', () => Date.now() > expired || undefined);
    const late = await exchange(read(first, 'access_token'));
    t.match(late, { status: 401, headers: { 'content-type': /^text\/html/ } });

    const refresh = { grant_type: 'refresh_token', refresh_token: read(first, 'refresh_token') };
    await configureIssuer(issuer.url, ca, {});
    const second = await askIssuer(refresh, client);
    t.equal((await exchange(read(second, 'access_token'))).status, 201);
    t.not(read(second, 'refresh_token'), refresh.refresh_token, 'a public client gets a new refresh token each time');
    t.match(await askIssuer(refresh, client), { status: 400, body: '"invalid_grant"' });
  },
);

testWithFederation(
  'a device code is pending until its user approves or denies it, or until it expires',
  async (t, federation, environment) => {
    const { askIssuer, exchange, issuer } = watchFederation(federation, environment.pki.ca);
    const { ca } = environment.pki;
    const client = federation.clients.public;
    await configureIssuer(issuer.url, ca, { deviceInterval: 1, slowDowns: 1 });
    const begin = async (): Promise<{ userCode: string; complete: string; poll: () => Promise<ReceivedResponse> }> => {
      const begun = await sendRequest(`${issuer.url}/device/auth`, {
        form: { client_id: client.id, scope: 'openid email' },
        ca,
      });
      t.match(JSON.parse(begun.body), { interval: 1, expires_in: 600 });
      const poll = { grant_type: deviceGrant, device_code: read(begun, 'device_code') };
      const userCode = read(begun, 'user_code');
      return { userCode, complete: read(begun, 'verification_uri_complete'), poll: () => askIssuer(poll, client) };
    };
    const { userCode, poll } = await begin();
    t.match(await poll(), { status: 400, body: '"slow_down"' });
    t.match(await poll(), { status: 400, body: '"authorization_pending"' });
    await decideDevice(issuer.url, ca, { userCode, action: 'approve', user: 'alice' });
    t.equal((await exchange(read(await poll(), 'access_token'))).status, 201);
    t.equal((await listDevicePolls(issuer.url, ca, userCode)).length, 3);

    for (const [action, error] of [
      ['deny', '"access_denied"'],
      ['expire', '"expired_token"'],
    ] as const) {
      const device = await begin();
      await decideDevice(issuer.url, ca, { userCode: device.userCode, action });
      t.match(await device.poll(), { status: 400, body: error });
    }
    // As a user does it.
    const byHand = await begin();
    const { page } = await browse(byHand.complete, federation.users.alice, ca);
    t.match(page, { status: 200, body: 'The device is connected.' });
    t.equal((await byHand.poll()).status, 200);
    const refused = await begin();
    await browse(refused.complete, 'deny', ca);
    t.match(await refused.poll(), { status: 400, body: '"access_denied"' });
  },
);

testWithFederation(
  'a browser gets an authorization code, with PKCE for a public client',
  async (t, federation, environment) => {
    const { askIssuer, exchange, issuer } = watchFederation(federation, environment.pki.ca);
    const { ca } = environment.pki;
    const discovery = await sendRequest(`${issuer.url}/.well-known/openid-configuration`, { ca });
    t.match(JSON.parse(discovery.body), { issuer: issuer.url, token_endpoint: `${issuer.url}/token` });
    const endpoint = read(discovery, 'authorization_endpoint');
    const verifier = randomBytes(32).toString('base64url');
    const authorize = (client: OidcClient, more: Record<string, string>): string => {
      const asked = {
        client_id: client.id,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: 'openid',
        ...more,
      };
      return `${endpoint}?${new URLSearchParams({ ...asked, state: 'abc' }).toString()}`;
    };
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const withPkce = { code_challenge: challenge, code_challenge_method: 'S256' };
    const { alice } = federation.users;

    const client = federation.clients.public;
    const { callback } = await browse(authorize(client, withPkce), alice, ca);
    t.equal(callback?.url.origin, 'http://localhost:12345');
    t.equal(callback?.url.searchParams.get('state'), 'abc');
    const code = callback?.url.searchParams.get('code') ?? '';
    const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier };
    const issued = await askIssuer(form, client);
    t.equal(issued.status, 200, why(issued));
    t.type(read(issued, 'id_token'), 'string');
    t.equal((await exchange(read(issued, 'access_token'))).status, 201);
    t.match(await askIssuer(form, client), { status: 400, body: '"invalid_grant"' }, 'the code works only once');

    const unproven = await browse(authorize(client, {}), alice, ca);
    t.equal(unproven.callback?.url.searchParams.get('error'), 'invalid_request', 'a public client must use PKCE');
    const denied = await browse(authorize(client, withPkce), 'deny', ca);
    t.equal(denied.callback?.url.searchParams.get('error'), 'access_denied');
    const wrong = await browse(authorize(client, withPkce), { ...alice, password: 'wrong' }, ca);
    t.match(wrong, { page: { status: 401 }, landing: undefined });

    const confidential = await browse(authorize(federation.clients.confidential, {}), alice, ca);
    const plain = { grant_type: 'authorization_code', redirect_uri: redirectUri };
    const itsCode = confidential.callback?.url.searchParams.get('code') ?? '';
    t.equal((await askIssuer({ ...plain, code: itsCode })).status, 200, 'a client with a secret does not need PKCE');
  },
);

testWithFederation(
  'a browser brings a token of Keystone to a trusted dashboard only',
  async (t, federation, environment) => {
    const { address } = watchFederation(federation, environment.pki.ca);
    const { ca } = environment.pki;
    const { provider, protocol, users } = federation;
    const port = await reserveDashboardPort(federation);
    t.not(await reserveDashboardPort(federation), port);
    const general = `${address.url}/v3/auth/OS-FEDERATION/websso/${protocol}`;
    const special = `${address.url}/v3/auth/OS-FEDERATION/identity_providers/${provider}/protocols/${protocol}/websso`;
    for (const [websso, dashboardPort] of [
      [general, 9990],
      [special, port],
    ] as const) {
      const origin = `http://localhost:${dashboardPort}/auth/websso/`;
      const { callback, page } = await browse(`${websso}?origin=${encodeURIComponent(origin)}`, users.alice, ca);
      t.match(callback, { method: 'POST', url: { href: origin } }, why(page));
      const token = callback?.form.get('token') ?? '';
      const headers = { 'X-Auth-Token': token, 'X-Subject-Token': token };
      const facts = await sendRequest(`${address.url}/v3/auth/tokens`, { headers, ca });
      t.equal(facts.status, 200);
      t.match(JSON.parse(facts.body), { token: { user: { name: users.alice.email } } });
    }
    const evil = await browse(`${special}?origin=http%3A%2F%2Flocalhost%3A1%2Fauth%2Fwebsso%2F`, users.alice, ca);
    t.match(evil, { page: { status: 401, headers: { 'content-type': 'application/json' } }, landing: undefined });
  },
);

testWithFederation(
  "Keystone's own OAuth 2.0 endpoint gives tokens to application credentials",
  async (t, federation, environment) => {
    const { address, basic } = watchFederation(federation, environment.pki.ca);
    const { ca } = environment.pki;
    const { id, secret } = environment.tenancy.applicationCredentials.valid;
    const ask = (client: OidcClient): Promise<ReceivedResponse> =>
      sendRequest(`${address.url}/v3/OS-OAUTH2/token`, {
        form: { grant_type: 'client_credentials' },
        headers: basic(client),
        ca,
      });
    const issued = await ask({ id, secret, email: '' });
    t.match(JSON.parse(issued.body), { token_type: 'Bearer', expires_in: 3600 });
    t.match(await validateToken(environment.http, read(issued, 'access_token')), {
      user: { name: 'alice' },
      roles: ['member'],
    });
    t.match(await ask({ id, secret: 'wrong', email: '' }), { status: 401, body: '"invalid_client"' });
  },
);

testWithFederation(
  'federated logins with GET succeed beside changes at the other server',
  async (t, federation, env) => {
    const { askIssuer, address } = watchFederation(federation, env.pki.ca);
    const { alice } = federation.users;
    const form = { grant_type: 'password', username: alice.name, password: alice.password, scope: 'openid profile' };
    const headers = { Authorization: `Bearer ${read(await askIssuer(form), 'access_token')}` };
    const url = address.url + federatedAuthPath(federation);
    const token = await logInAsAdmin(env.http);
    const changeRegions = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        const made = (await callKeystone(env.http, '/v3/regions', { method: 'POST', token, body: { region: {} } })) as {
          region: { id: string };
        };
        await callKeystone(env.http, `/v3/regions/${made.region.id}`, { method: 'DELETE', token });
      }
    };
    const logIn = async (count: number): Promise<number[]> => {
      const statuses: number[] = [];
      for (let index = 0; index < count; index += 1) {
        statuses.push((await sendRequest(url, { headers, ca: env.pki.ca })).status);
      }
      return statuses;
    };
    const [statuses] = await Promise.all([logIn(20), changeRegions(20), changeRegions(20)]);
    t.strictSame(statuses, Array<number>(20).fill(201));
  },
);
