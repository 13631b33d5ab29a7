// Against: a real identity provider and Keystone behind Apache, and a stand-in provider for faults.

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { browse } from '../support/scripted-browser.ts';
import type { LoginDecision } from '../support/scripted-browser.ts';
import { PASTE_PROMPT } from '../support/browser-login.ts';
import { checkTerminalSuccess, followRedirects, readStdout, startOnTerminal } from '../support/browser-login.ts';
import { waitForAddress } from '../support/browser-login.ts';
import { describeRequest } from '../support/request-log.ts';
import { federatedAuthPath, waitForRequests, configureIssuer, testWithFederation } from '../support/federation.ts';
import { checkFailure, checkSuccess, EXIT_STATUS } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home, EnvVars } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { startStandInProvider, makeTokenResponse } from '../support/stand-in-provider.ts';
import { validateToken } from '../support/tenancy.ts';
import type { Terminal } from '../support/terminal.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

t.setTimeout(170_000);

const DISCOVERY = 'GET /.well-known/openid-configuration 200';
const TOKEN = 'POST /token 200';
const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true 201';

interface AuthCodeFixture {
  readonly home: Home;
  readonly env: EnvVars;
  readonly issuer: string;
  start(env?: EnvVars, args?: readonly string[]): Terminal;
  /** Lists the requests of the plugin to the identity provider and to Keystone. */
  requests(): Promise<{ issuer: string[]; keystone: string[] }>;
  browse(address: string, conduct?: LoginDecision): ReturnType<typeof browse>;
}

function setUpAuthCode(t: Test, federation: FederationAddress, environment: TestEnvironment): AuthCodeFixture {
  const home = makeHome();
  t.teardown(() => home.remove());
  const keystoneAddress = watchRequests(federation.keystone);
  const issuer = watchRequests(federation.identityProvider);
  const env = {
    OS_AUTH_URL: `${keystoneAddress.url}/v3`,
    OS_AUTH_TYPE: 'v3oidcauthcode',
    OS_CACERT: environment.pki.ca,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    OS_CLIENT_ID: federation.clients.public.id,
    OS_DISCOVERY_ENDPOINT: `${issuer.url}/.well-known/openid-configuration`,
    ...onProject(environment.tenancy.projects.demo, environment.tenancy.domain),
  };
  return {
    home,
    env,
    issuer: issuer.url,
    start: (more = {}, args = []) => startOnTerminal(t, { home, env: { ...env, ...more }, args }),
    requests: async () => ({
      issuer: listRequests(issuer)
        .map(describeRequest)
        .filter((line) => /^\w+ \/(token|\.well-known)/.test(line)),
      keystone: (await waitForRequests(keystoneAddress)).map(describeRequest),
    }),
    browse: (address, conduct = federation.users.alice) => browse(address, conduct, environment.pki.ca),
  };
}

testWithFederation('alice logs in with a browser', async (t, federation, environment) => {
  const { alice } = federation.users;
  const { confidential, public: open } = federation.clients;
  const port = await findFreePort();
  const cases = {
    'a public client': [{ OS_CLIENT_ID: open.id }, /^http:\/\/127\.0\.0\.1:\d+\/callback$/],
    'a client with a secret': [
      { OS_CLIENT_ID: confidential.id, OS_CLIENT_SECRET: confidential.secret },
      /^http:\/\/127\.0\.0\.1:\d+\/callback$/,
    ],
    'a redirect URI with a port': [
      { OS_REDIRECT_URI: `http://localhost:${String(port)}/some/callback` },
      new RegExp(`^http://localhost:${String(port)}/some/callback$`),
    ],
    'a redirect URI without a port': [
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
      const { token } = await checkTerminalSuccess(t, terminal, fixture.home, [code]);
      t.match(terminal.screen(), `Keystone knows you as ${alice.email}`);
      t.strictSame(await fixture.requests(), {
        issuer: [DISCOVERY, TOKEN],
        keystone: [`POST ${federatedAuthPath(federation)} 201`, RESCOPE],
      });
      t.match(await validateToken(environment.http, token), { user: { name: alice.email }, project: { name: 'demo' } });

      const again = await runPlugin({ home: fixture.home, env: { ...fixture.env, ...env } });
      t.strictSame(
        again,
        { status: 0, signal: null, stdout: readStdout(fixture.home), stderr: '' },
        'a cache hit sends no request',
      );
      t.equal((await fixture.requests()).issuer.length, 2);
      const storedFiles = readdirSync(fixture.home.cache).map((file) =>
        readFileSync(join(fixture.home.cache, file), 'utf8'),
      );
      const secrets = [code, confidential.secret, alice.password];
      t.notOk(secrets.some((secret) => `${storedFiles.join('\n')}${terminal.raw()}`.includes(secret)));
    });
  }
});

testWithFederation("opens the user's browser", async (t, federation, environment) => {
  const fixture = setUpAuthCode(t, federation, environment);
  const browser = join(fixture.home.path, 'browser');
  const opened = join(fixture.home.path, 'opened');
  writeFileSync(
    browser,
    `#!/bin/sh\nprintf '%s' "$*" >'${opened}.new'; env >>'${opened}.env'; mv '${opened}.new' '${opened}'\n`,
  );
  chmodSync(browser, 0o700);
  const desktop = { CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER: undefined, DISPLAY: ':0', BROWSER: browser };
  const terminal = fixture.start(desktop);
  const address = await waitForAddress(terminal);
  for (let waited = 0; waited < 250 && !existsSync(opened); waited += 1) await sleep(20);
  t.equal(readFileSync(opened, 'utf8'), address);
  t.notMatch(readFileSync(`${opened}.env`, 'utf8'), /^(OS_|CLIENT_KEYSTONE_AUTH)/m);
  const { callback } = await fixture.browse(address);
  await callback?.send();
  await checkTerminalSuccess(t, terminal, fixture.home);

  await t.test('does not open a browser over SSH', async (t) => {
    const remote = setUpAuthCode(t, federation, environment);
    const other = join(remote.home.path, 'opened');
    writeFileSync(browser, `#!/bin/sh\n: >'${other}'\n`);
    const terminal = remote.start({ ...desktop, SSH_TTY: '/dev/pts/7' });
    const address = await waitForAddress(terminal);
    await terminal.waitFor(PASTE_PROMPT);
    const { callback } = await remote.browse(address);
    terminal.type(`${callback?.url.href ?? ''}\r`);
    await checkTerminalSuccess(t, terminal, remote.home);
    t.notOk(existsSync(other));
  });
});

testWithFederation('a pasted code without the issuer is rejected', async (t, federation, environment) => {
  const fixture = setUpAuthCode(t, federation, environment);
  const terminal = fixture.start();
  const { callback } = await fixture.browse(await waitForAddress(terminal));
  const end = callback?.url ?? new URL('http://none/');
  t.ok(end.searchParams.has('iss'));
  await terminal.waitFor(PASTE_PROMPT);
  terminal.type(`${end.searchParams.get('code') ?? ''}\r`);
  await terminal.waitFor('paste the whole address');
  await terminal.waitFor(PASTE_PROMPT);
  terminal.type(`${end.href}\r`);
  await checkTerminalSuccess(t, terminal, fixture.home, [end.searchParams.get('code') ?? 'none']);
});

testWithFederation('responses that belong to other logins', async (t, federation, environment) => {
  await t.test('do not end the login', async (t) => {
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
    await checkTerminalSuccess(t, terminal, fixture.home);
  });
  await t.test('the response of another provider is rejected', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal));
    await followRedirects((callback?.url.href ?? '').replace(/iss=[^&]*/, 'iss=https%3A%2F%2Fevil.example'));
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.protocol);
    t.match(terminal.screen(), 'the response of another identity provider');
    t.equal(readStdout(fixture.home), '');
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
    t.strictSame((await fixture.requests()).issuer, [DISCOVERY, 'POST /token 400']);
    t.equal(readStdout(fixture.home), '');
  });
});

testWithFederation('rejected logins', async (t, federation, environment) => {
  await t.test('the user denies access', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal), 'deny');
    t.match(await callback?.send(), { status: 200, body: 'The terminal shows the reason' });
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), /refused the user in the browser: the login was denied \(access_denied/);
    t.strictSame(await fixture.requests(), { issuer: [DISCOVERY], keystone: [] });
    t.equal(readStdout(fixture.home), '');
  });
  await t.test('Keystone does not know the user', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const terminal = fixture.start();
    const { callback } = await fixture.browse(await waitForAddress(terminal), federation.users.stranger);
    await callback?.send();
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), 'its mapping does not match the user');
    t.strictSame((await fixture.requests()).keystone, [`POST ${federatedAuthPath(federation)} 401`]);
    t.equal(readStdout(fixture.home), '');
  });
  await t.test('the port is in use, or the URI is on another machine', async (t) => {
    const fixture = setUpAuthCode(t, federation, environment);
    const server = createServer();
    t.teardown(() => server.close());
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
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
    const fixture = setUpAuthCode(t, federation, environment);
    const result = await runPlugin({ home: fixture.home, env: { ...fixture.env, DISPLAY: ':0' } });
    checkFailure(t, result, EXIT_STATUS.interaction, { says: ['needs a user with a browser', 'no terminal'] });
    const unset = await runPlugin({ home: fixture.home, env: { ...fixture.env, OS_DISCOVERY_ENDPOINT: undefined } });
    checkFailure(t, unset, EXIT_STATUS.interaction, { says: ['OS_DISCOVERY_ENDPOINT'] });
  });
});

testWithFederation('an existing authorization code', async (t, federation, environment) => {
  const fixture = setUpAuthCode(t, federation, environment);
  const { confidential } = federation.clients;
  const redirect = 'http://localhost:12345/some/callback';
  const asked = { client_id: confidential.id, response_type: 'code', redirect_uri: redirect, scope: 'openid profile' };
  const { callback } = await fixture.browse(`${fixture.issuer}/auth?${new URLSearchParams(asked).toString()}`);
  const code = callback?.url.searchParams.get('code') ?? '';
  const env = { ...fixture.env, OS_CLIENT_ID: confidential.id, OS_CLIENT_SECRET: confidential.secret };
  const withCode = { ...env, OS_AUTHORIZATION_CODE: code, OS_REDIRECT_URI: redirect };

  const lacking = await runPlugin({ home: fixture.home, env: { ...withCode, OS_REDIRECT_URI: undefined } });
  checkFailure(t, lacking, EXIT_STATUS.interaction, { says: ['redirect uri', 'OS_REDIRECT_URI'] });
  const result = await runPlugin({ home: fixture.home, env: withCode });
  t.equal(result.status, 0, result.stderr);
  t.match(result.stderr, /^client-keystone-auth: Keystone knows you as [^\n]+\n$/);
  t.strictSame((await fixture.requests()).issuer, [DISCOVERY, TOKEN]);
  const elsewhere = makeHome();
  t.teardown(() => elsewhere.remove());
  const spent = await runPlugin({ home: elsewhere, env: withCode });
  checkFailure(t, spent, EXIT_STATUS.refused, { says: ['invalid_grant'] });
  t.strictSame((await fixture.requests()).issuer.slice(2), [DISCOVERY, 'POST /token 400'], 'the code is sent once');
  t.notOk(`${result.stderr}${spent.stderr}`.includes(code));
});

testWithFederation(
  "outputs the provider's token and renews it without a browser",
  async (t, federation, environment) => {
    const fixture = setUpAuthCode(t, federation, environment);
    await configureIssuer(fixture.issuer, environment.pki.ca, { refreshTokens: 'always' });
    const env = { CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token', OS_AUTH_URL: undefined };
    const terminal = fixture.start(env);
    const { callback } = await fixture.browse(await waitForAddress(terminal));
    await callback?.send();
    const { token } = await checkTerminalSuccess(t, terminal, fixture.home);
    t.match(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()), {
      aud: federation.clients.public.id,
      iss: fixture.issuer,
    });
    t.strictSame(await fixture.requests(), { issuer: [DISCOVERY, TOKEN], keystone: [] });

    const renewed = await runPlugin({ home: fixture.home, env: { ...fixture.env, ...env }, args: ['--force-refresh'] });
    checkSuccess(t, renewed);
    t.strictSame((await fixture.requests()).issuer, [DISCOVERY, TOKEN, DISCOVERY, TOKEN], 'no request is sent');
  },
);

/** Makes an ID token with an invalid signature. */
function idToken(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return `${part({ alg: 'RS256' })}.${part({ sub: 'alice', exp, ...claims })}.c2ln`;
}

void t.test('faults of a stand-in provider', async (t) => {
  const cases = {
    'a nonce of another login': [{ nonce: 'other' }, EXIT_STATUS.protocol, /returned the token of another login/],
    'no nonce': [{}, EXIT_STATUS.protocol, /returned the token of another login/],
    'the correct nonce': [undefined, 0, /Open this address/],
  } as const;
  for (const [name, [claims, status, says]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const provider = await startStandInProvider(t);
      const home = makeHome();
      t.teardown(() => home.remove());
      const env = {
        OS_AUTH_TYPE: 'v3oidcauthcode',
        OS_CLIENT_ID: 'kubectl',
        OS_DISCOVERY_ENDPOINT: `${provider.url}/.well-known/openid-configuration`,
        CLIENT_KEYSTONE_AUTH_TOKEN_KIND: 'id_token',
      };
      const terminal = startOnTerminal(t, { home, env });
      const asked = new URL(await waitForAddress(terminal)).searchParams;
      provider.tokenResponses = [makeTokenResponse({ id_token: idToken(claims ?? { nonce: asked.get('nonce') }) })];
      // If the discovery document does not promise the issuer, the response can omit it.
      const query = new URLSearchParams({ code: 'canary-code', state: asked.get('state') ?? '' });
      await followRedirects(`${asked.get('redirect_uri') ?? ''}?${query.toString()}`);
      t.equal((await terminal.ended).exitCode, status, terminal.screen());
      t.match(terminal.screen(), says);
      t.notMatch(terminal.raw(), 'canary-code');
      if (status !== 0) t.equal(readStdout(home), '');
      const sent = provider.requests.filter(({ line }) => line === 'POST /token').map(({ form }) => form);
      t.equal(sent.length, 1);
      t.match(sent[0], { client_id: 'kubectl', code: 'canary-code', redirect_uri: asked.get('redirect_uri') });
      const hash = createHash('sha256').update(sent[0]?.['code_verifier'] ?? '');
      t.equal(hash.digest('base64url'), asked.get('code_challenge'), 'the verifier matches the challenge');
    });
  }
});
