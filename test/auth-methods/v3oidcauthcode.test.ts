// Against: a real identity provider and Keystone behind Apache, and a stand-in provider for faults.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { browse } from '../support/scripted-browser.ts';
import type { LoginDecision, Visit } from '../support/scripted-browser.ts';
import { checkTerminalSuccess, followRedirects, paste, readStdout, startOnTerminal } from '../support/browser-login.ts';
import { waitForAddress } from '../support/browser-login.ts';
import { federatedAuthPath, configureIssuer, testWithFederation } from '../support/federation.ts';
import { DISCOVERY_REQUEST as DISCOVERY, TOKEN_REQUEST as TOKEN } from '../support/federated-login.ts';
import { listKeystoneRequests, setUpFederation } from '../support/federated-login.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { startStandInProvider, makeTokenResponse } from '../support/stand-in-provider.ts';
import { validateToken } from '../support/tenancy.ts';
import type { Terminal } from '../support/terminal.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { waitUntil } from '../support/wait-until.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true 201';

interface AuthCodeFixture {
  /** Has settings for v3oidcauthcode with the public client. */
  readonly user: Fixture;
  readonly issuer: string;
  /** Starts the plugin on a terminal, with changed settings. */
  start(changes?: EnvVars): Terminal;
  /** Lists the requests of the plugin to the identity provider, without those of the browser. */
  listIssuerRequests(): readonly string[];
  /** Waits for requests of the plugin to Keystone, and lists all of them. */
  listKeystoneRequests(count: number): Promise<readonly string[]>;
  browse(address: string, conduct?: LoginDecision): Promise<Visit>;
}

function setUpAuthCode(t: Test, federation: FederationAddress, environment: TestEnvironment): AuthCodeFixture {
  const fixture = setUpFederation(t, federation, environment);
  const user = fixture.user.with({
    OS_AUTH_TYPE: 'v3oidcauthcode',
    OS_CLIENT_ID: federation.clients.public.id,
  });
  return {
    user,
    issuer: fixture.issuer.url,
    start: (changes = {}) => startOnTerminal(t, user.with(changes)),
    listIssuerRequests: () => fixture.issuer.listRequests().filter((line) => /^\w+ \/(token|\.well-known)/.test(line)),
    listKeystoneRequests: (count) => listKeystoneRequests(fixture, count),
    browse: (address, conduct = federation.users.alice) => browse(address, conduct, environment.pki.ca),
  };
}

testWithFederation('v3oidcauthcode logs in with a browser', async (t, federation, environment) => {
  const { alice } = federation.users;
  const { confidential, public: open } = federation.clients;
  const port = await findFreePort();
  const cases = {
    'the client is public': [{ OS_CLIENT_ID: open.id }, /^http:\/\/127\.0\.0\.1:\d+\/callback$/],
    'the client has a secret': [
      { OS_CLIENT_ID: confidential.id, OS_CLIENT_SECRET: confidential.secret },
      /^http:\/\/127\.0\.0\.1:\d+\/callback$/,
    ],
    'the redirect URI has a port': [
      { OS_REDIRECT_URI: `http://localhost:${String(port)}/some/callback` },
      new RegExp(`^http://localhost:${String(port)}/some/callback$`),
    ],
    'the redirect URI has no port': [
      { OS_REDIRECT_URI: 'http://localhost/some/callback' },
      /^http:\/\/localhost:\d+\/some\/callback$/,
    ],
  } as const;
  for (const [name, [env, redirect]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const fixture = setUpAuthCode(t, federation, environment);
      const terminal = fixture.start(env);
      const address = new URL(await waitForAddress(terminal));
      const asked = Object.fromEntries(address.searchParams);
      t.match(asked, {
        response_type: 'code',
        response_mode: 'query',
        redirect_uri: redirect,
        scope: 'openid profile',
        code_challenge_method: 'S256',
        code_challenge: /^[\w-]{43}$/,
        state: /^[\w-]{43}$/,
        nonce: /^[\w-]{43}$/,
      });
      t.equal(new Set([asked['state'], asked['nonce'], asked['code_challenge']]).size, 3);
      const { callback } = await fixture.browse(address.href);
      t.match(await callback?.send(), { status: 200, body: 'You can close this window' });
      const code = callback?.url.searchParams.get('code') ?? 'none';
      const { token } = await checkTerminalSuccess(t, terminal, fixture.user, [code]);
      t.match(terminal.screen(), `Keystone knows you as ${alice.email}`);
      t.strictSame(fixture.listIssuerRequests(), [DISCOVERY, TOKEN]);
      t.strictSame(await fixture.listKeystoneRequests(2), [`POST ${federatedAuthPath(federation)} 201`, RESCOPE]);
      t.match(await validateToken(environment.http, token), { user: { name: alice.email }, project: { name: 'demo' } });

      t.strictSame(
        await fixture.user.with(env).run(),
        { status: 0, signal: null, stdout: readStdout(fixture.user), stderr: '' },
        'a cache hit sends no request',
      );
      t.equal(fixture.listIssuerRequests().length, 2);
      const secrets = [code, confidential.secret, alice.password];
      t.notOk(secrets.some((secret) => `${fixture.user.readCache()}${terminal.raw()}`.includes(secret)));
    });
  }
});

testWithFederation("v3oidcauthcode opens the user's browser", async (t, federation, environment) => {
  const fixture = setUpAuthCode(t, federation, environment);
  const opened = join(fixture.user.home.path, 'opened');
  const writeBrowser = (script: string): string => fixture.user.writeFile('browser', `#!/bin/sh\n${script}\n`, 0o700);
  const browser = writeBrowser(
    `printf '%s' "$*" >'${opened}.new'; env >>'${opened}.env'; mv '${opened}.new' '${opened}'`,
  );
  const desktop = { CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER: undefined, DISPLAY: ':0', BROWSER: browser };
  const terminal = fixture.start(desktop);
  const address = await waitForAddress(terminal);
  await waitUntil('the browser', () => existsSync(opened) || undefined);
  t.equal(readFileSync(opened, 'utf8'), address);
  t.notMatch(readFileSync(`${opened}.env`, 'utf8'), /^(OS_|CLIENT_KEYSTONE_AUTH)/m);
  const { callback } = await fixture.browse(address);
  await callback?.send();
  await checkTerminalSuccess(t, terminal, fixture.user);

  await t.test('no browser is opened over SSH', async (t) => {
    const remote = setUpAuthCode(t, federation, environment);
    const other = join(remote.user.home.path, 'opened');
    writeBrowser(`: >'${other}'`);
    const terminal = remote.start({ ...desktop, SSH_TTY: '/dev/pts/7' });
    const { callback } = await remote.browse(await waitForAddress(terminal));
    await paste(terminal, `${callback?.url.href ?? ''}\r`);
    await checkTerminalSuccess(t, terminal, remote.user);
    t.notOk(existsSync(other));
  });
});

testWithFederation('a pasted code without the issuer is rejected', async (t, federation, environment) => {
  const fixture = setUpAuthCode(t, federation, environment);
  const terminal = fixture.start();
  const { callback } = await fixture.browse(await waitForAddress(terminal));
  const end = callback?.url ?? new URL('http://none/');
  t.ok(end.searchParams.has('iss'));
  await paste(terminal, `${end.searchParams.get('code') ?? ''}\r`);
  await terminal.waitFor('paste the whole address');
  await paste(terminal, `${end.href}\r`);
  await checkTerminalSuccess(t, terminal, fixture.user, [end.searchParams.get('code') ?? 'none']);
});

testWithFederation('a response that belongs to another login is not used', async (t, federation, environment) => {
  await t.test('a response with a wrong or missing parameter does not end the login', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const address = await waitForAddress(terminal);
    const { callback } = await fixture.browse(address);
    const end = callback?.url.href ?? '';
    t.equal((await followRedirects(end.replace(/state=[^&]*/, 'state=other'))).status, 400);
    t.equal(
      (await followRedirects(end.replace(/[?&]iss=[^&]*/, ''))).status,
      400,
      'the response does not name its issuer',
    );
    t.equal((await followRedirects(`${end}&code=other`)).status, 400);
    t.equal((await followRedirects(end.replace('127.0.0.1', 'localhost'))).status, 404);
    t.equal((await followRedirects(end)).status, 200);
    await checkTerminalSuccess(t, terminal, fixture.user);
  });
  await t.test('the response of another provider ends the login', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal));
    await followRedirects((callback?.url.href ?? '').replace(/iss=[^&]*/, 'iss=https%3A%2F%2Fevil.example'));
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.protocol);
    t.match(terminal.screen(), 'the response of another identity provider');
    t.equal(readStdout(fixture.user), '');
  });
  await t.test('the code of another login is rejected and sent once', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const first = setUpAuthCode(t, federation, environment).start();
    const stolen = (await fixture.browse(await waitForAddress(first))).callback?.url.searchParams.get('code') ?? '';
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal));
    const end = callback?.url ?? new URL('http://none/');
    end.searchParams.set('code', stolen);
    await followRedirects(end.href);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), /the identity provider refused the user in the browser.*invalid_grant/);
    t.strictSame(fixture.listIssuerRequests(), [DISCOVERY, 'POST /token 400']);
    t.equal(readStdout(fixture.user), '');
  });
});

testWithFederation('v3oidcauthcode reports why a login is rejected', async (t, federation, environment) => {
  await t.test('the user denies access', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal), 'deny');
    t.match(await callback?.send(), { status: 200, body: 'The terminal shows the reason' });
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), /refused the user in the browser: the login was denied \(access_denied/);
    t.strictSame(fixture.listIssuerRequests(), [DISCOVERY]);
    t.strictSame(await fixture.listKeystoneRequests(0), []);
    t.equal(readStdout(fixture.user), '');
  });
  await t.test('Keystone does not know the user', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal), federation.users.stranger);
    await callback?.send();
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), 'its mapping does not match the user');
    t.strictSame(await fixture.listKeystoneRequests(1), [`POST ${federatedAuthPath(federation)} 401`]);
    t.equal(readStdout(fixture.user), '');
  });
  await t.test('the port is in use, or the URI is on another machine', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const port = await listenForTest(t, createServer());
    const cases = [
      [`http://127.0.0.1:${String(port)}/callback`, /another program uses it; .*OS_REDIRECT_URI/],
      ['https://app.example.com/callback', /OS_REDIRECT_URI must be an http:\/\/ address of this machine/],
      ['http://127.0.0.1.example.com/callback', /OS_REDIRECT_URI must be an http:\/\/ address of this machine/],
      ['http://localhost/callback?a=b', /OS_REDIRECT_URI must be an http:\/\/ address of this machine/],
      ['callback', /OS_REDIRECT_URI must be an http:\/\/ address of this machine/],
    ] as const;
    for (const [uri, says] of cases) {
      const terminal = fixture.start({ OS_REDIRECT_URI: uri });
      t.equal((await terminal.ended).exitCode, EXIT_STATUS.config, uri);
      t.match(terminal.screen(), says);
    }
  });
  await t.test('no user is present', async (t) => {
    const { user } = setUpAuthCode(t, federation, environment);
    checkFailure(t, await user.with({ DISPLAY: ':0' }).run(), EXIT_STATUS.interaction, {
      says: ['needs a user with a browser', 'no terminal'],
    });
    checkFailure(t, await user.with({ OS_DISCOVERY_ENDPOINT: undefined }).run(), EXIT_STATUS.interaction, {
      says: ['OS_DISCOVERY_ENDPOINT'],
    });
  });
});

testWithFederation('an authorization code can be set, and is sent once', async (t, federation, environment) => {
  const fixture = setUpAuthCode(t, federation, environment);
  const { confidential } = federation.clients;
  const redirect = 'http://localhost:12345/some/callback';
  const asked = { client_id: confidential.id, response_type: 'code', redirect_uri: redirect, scope: 'openid profile' };
  const { callback } = await fixture.browse(`${fixture.issuer}/auth?${new URLSearchParams(asked).toString()}`);
  const code = callback?.url.searchParams.get('code') ?? '';
  const user = fixture.user.with({
    OS_CLIENT_ID: confidential.id,
    OS_CLIENT_SECRET: confidential.secret,
    OS_AUTHORIZATION_CODE: code,
    OS_REDIRECT_URI: redirect,
  });

  checkFailure(t, await user.with({ OS_REDIRECT_URI: undefined }).run(), EXIT_STATUS.interaction, {
    says: ['redirect URI', 'OS_REDIRECT_URI'],
  });
  const result = await user.run();
  t.equal(result.status, 0, result.stderr);
  t.match(result.stderr, /^client-keystone-auth: Keystone knows you as [^\n]+\n$/);
  t.strictSame(fixture.listIssuerRequests(), [DISCOVERY, TOKEN]);
  const spent = await user.onNewMachine().run();
  checkFailure(t, spent, EXIT_STATUS.refused, { says: ['invalid_grant'] });
  t.strictSame(fixture.listIssuerRequests().slice(2), [DISCOVERY, 'POST /token 400'], 'the code is sent once');
  t.notOk(`${result.stderr}${spent.stderr}`.includes(code));
});

testWithFederation(
  "the provider's token is printed and renewed without a browser",
  async (t, federation, environment) => {
    const fixture = setUpAuthCode(t, federation, environment);
    await configureIssuer(fixture.issuer, environment.pki.ca, { refreshTokens: 'always' });
    const idToken = { CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token', OS_AUTH_URL: undefined };
    const terminal = fixture.start(idToken);
    const { callback } = await fixture.browse(await waitForAddress(terminal));
    await callback?.send();
    const { token } = await checkTerminalSuccess(t, terminal, fixture.user);
    t.match(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()), {
      aud: federation.clients.public.id,
      iss: fixture.issuer,
    });
    t.strictSame(fixture.listIssuerRequests(), [DISCOVERY, TOKEN]);
    t.strictSame(await fixture.listKeystoneRequests(0), []);

    checkSuccess(t, await fixture.user.with(idToken).run('--force-refresh'));
    t.strictSame(fixture.listIssuerRequests(), [DISCOVERY, TOKEN, DISCOVERY, TOKEN], 'no request of a browser');
  },
);

/** Makes an ID token with an invalid signature. */
function makeIdToken(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return `${part({ alg: 'RS256' })}.${part({ sub: 'alice', exp, ...claims })}.c2ln`;
}

void t.test('a token of another login is rejected by its nonce', async (t) => {
  const cases = {
    'the nonce belongs to another login': [
      { nonce: 'other' },
      EXIT_STATUS.protocol,
      /returned the token of another login/,
    ],
    'the nonce is missing': [{}, EXIT_STATUS.protocol, /returned the token of another login/],
    'the nonce is the one of this login': [undefined, 0, /Open this address/],
  } as const;
  for (const [name, [claims, status, says]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const provider = await startStandInProvider(t);
      const settings = {
        OS_AUTH_TYPE: 'v3oidcauthcode',
        OS_CLIENT_ID: 'kubectl',
        OS_DISCOVERY_ENDPOINT: `${provider.url}/.well-known/openid-configuration`,
        CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
      };
      const user = setUp(t, { settings });
      const terminal = startOnTerminal(t, user);
      const asked = new URL(await waitForAddress(terminal)).searchParams;
      provider.tokenResponses = [makeTokenResponse({ id_token: makeIdToken(claims ?? { nonce: asked.get('nonce') }) })];
      // If the discovery document does not promise the issuer, the response can omit it.
      const query = new URLSearchParams({ code: 'canary-code', state: asked.get('state') ?? '' });
      await followRedirects(`${asked.get('redirect_uri') ?? ''}?${query.toString()}`);
      t.equal((await terminal.ended).exitCode, status, terminal.screen());
      t.match(terminal.screen(), says);
      t.notMatch(terminal.raw(), 'canary-code');
      if (status !== 0) t.equal(readStdout(user), '');
      const sent = provider.requests.filter(({ line }) => line === 'POST /token').map(({ form }) => form);
      t.equal(sent.length, 1);
      t.match(sent[0], { client_id: 'kubectl', code: 'canary-code', redirect_uri: asked.get('redirect_uri') });
      const hash = createHash('sha256').update(sent[0]?.['code_verifier'] ?? '');
      t.equal(hash.digest('base64url'), asked.get('code_challenge'), 'the verifier matches the challenge');
    });
  }
});
