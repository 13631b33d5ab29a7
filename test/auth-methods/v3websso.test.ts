// Against: a real Keystone behind Apache with mod_auth_openidc, and a real identity provider.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { browse } from '../support/scripted-browser.ts';
import { PASTE_PROMPT } from '../support/browser-login.ts';
import { checkTerminalSuccess, followRedirects, makeTerminalCommand, readStdout } from '../support/browser-login.ts';
import { startOnTerminal, waitForAddress } from '../support/browser-login.ts';
import { describeRequest } from '../support/request-log.ts';
import { waitForRequests, reserveDashboardPort, testWithFederation } from '../support/federation.ts';
import { sendRequest } from '../support/send-request.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home, EnvVars } from '../support/home.ts';
import { onProject } from '../support/login-settings.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { runWithStty } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';
import { watchRequests } from '../support/request-log.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

t.setTimeout(170_000);

const LOOK = 'GET /v3/auth/tokens?nocatalog=true 200';
const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true 201';

interface WebSsoFixture {
  readonly home: Home;
  readonly env: EnvVars;
  readonly origin: string;
  start(env?: EnvVars, args?: readonly string[]): Terminal;
  /** Lists the token requests to Keystone, which only the plugin sends. */
  requests(): Promise<string[]>;
}

async function setUpWebSso(
  t: Test,
  federation: FederationAddress,
  environment: TestEnvironment,
): Promise<WebSsoFixture> {
  const home = makeHome();
  t.teardown(() => home.remove());
  const address = watchRequests(federation.keystone);
  const port = await reserveDashboardPort(federation);
  const env = {
    OS_AUTH_URL: `${address.url}/v3`,
    OS_AUTH_TYPE: 'v3websso',
    OS_CACERT: environment.pki.ca,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    OS_REDIRECT_PORT: String(port),
    ...onProject(environment.tenancy.projects.demo, environment.tenancy.domain),
  };
  return {
    home,
    env,
    origin: `http://localhost:${String(port)}/auth/websso/`,
    start: (more = {}, args = []) => startOnTerminal(t, { home, env: { ...env, ...more }, args }),
    requests: async () =>
      (await waitForRequests(address)).map(describeRequest).filter((line) => line.includes('/auth/tokens')),
  };
}

testWithFederation('alice logs in with a browser', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const { alice } = federation.users;
  const { ca } = environment.pki;
  const withoutProject = { OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined };
  const special = `/v3/auth/OS-FEDERATION/identity_providers/${federation.provider}/protocols/${federation.protocol}/websso`;
  const general = `/v3/auth/OS-FEDERATION/websso/${federation.protocol}`;
  const cases = {
    'on a project': [{}, special, { project: { name: 'demo' } }, [LOOK, RESCOPE]],
    'without naming the identity provider': [
      { OS_IDENTITY_PROVIDER: undefined },
      general,
      { project: { name: 'demo' } },
      [LOOK, RESCOPE],
    ],
    'on a domain': [
      { ...withoutProject, OS_DOMAIN_NAME: environment.tenancy.domain.name },
      special,
      { domain: { name: environment.tenancy.domain.name } },
      [LOOK, RESCOPE],
    ],
    'without a scope': [withoutProject, special, { project: undefined }, [LOOK]],
  } as const;
  for (const [name, [env, path, wanted, requests]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const before = (await fixture.requests()).length;
      const terminal = fixture.start(env);
      const address = new URL(await waitForAddress(terminal));
      t.ok(address.pathname.endsWith(path), address.pathname);
      t.equal(address.searchParams.get('origin'), fixture.origin);
      const { callback } = await browse(address.href, alice, ca);
      t.match(callback, { method: 'POST', url: { href: fixture.origin } });
      const page = await callback?.send();
      t.match(page, { status: 200, body: 'You can close this window' });
      const { token } = await checkTerminalSuccess(t, terminal, fixture.home, [callback?.form.get('token') ?? 'none']);
      t.notMatch(terminal.screen(), PASTE_PROMPT, 'there is no prompt to paste, because Keystone posts a form');
      t.match(terminal.screen(), /ssh -L (\d+):localhost:\1 /, 'the output tells how to forward the port');
      t.match(terminal.screen(), `Keystone knows you as ${alice.email}`);
      if (name === 'without a scope') t.match(terminal.screen(), 'the token has no scope');
      t.strictSame((await fixture.requests()).slice(before), requests);
      t.match(await validateToken(environment.http, token), { user: { name: alice.email }, ...wanted });

      const again = await runPlugin({ home: fixture.home, env: { ...fixture.env, ...env } });
      t.strictSame(
        again,
        { status: 0, signal: null, stdout: readStdout(fixture.home), stderr: '' },
        'a cache hit sends no request',
      );
      t.equal((await fixture.requests()).length, before + requests.length);
      const storedFiles = readdirSync(fixture.home.cache).map((file) =>
        readFileSync(join(fixture.home.cache, file), 'utf8'),
      );
      t.notOk(storedFiles.join('\n').includes(alice.password));
    });
  }
});

testWithFederation('a port that Keystone does not trust', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const terminal = fixture.start({ OS_REDIRECT_PORT: String(await findFreePort()) }, ['--login-timeout=4']);
  const { page, callback } = await browse(await waitForAddress(terminal), federation.users.alice, environment.pki.ca);
  t.equal(callback, undefined);
  // Keystone reports the reason only in its log.
  t.match(page, { status: 401, body: 'requires authentication' });
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.unreachable);
  t.match(terminal.screen(), /within 4 s .*error 401.*trusted_dashboard.*--login-timeout/);
  t.equal(readStdout(fixture.home), '');
  t.strictSame(await fixture.requests(), []);
});

testWithFederation('pages of an attacker', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const { users } = environment.tenancy;
  const evil = await logIn(environment.http, users.mallory);
  const post = async (headers: Record<string, string>, form: Record<string, string>): Promise<number> =>
    (await sendRequest(fixture.origin, { ca: '', form, headers })).status;

  await t.test('ignores requests with another origin or without a navigation', async (t) => {
    const terminal = fixture.start();
    const address = await waitForAddress(terminal);
    t.equal(await post({ Origin: 'https://evil.example' }, { token: evil }), 400);
    t.equal(await post({ Origin: 'null', Referer: 'https://evil.example/' }, { token: evil }), 400);
    t.equal(await post({ Origin: 'null', 'Sec-Fetch-Dest': 'iframe' }, { token: evil }), 400);
    t.equal(await post({ Host: 'evil.example:9990' }, { token: evil }), 404);
    t.equal(await post({}, { token: 'no token\n' }), 400);
    t.equal(await post({}, { token: 'x'.repeat(16_385) }), 400);
    t.equal(await post({}, { other: evil }), 400);
    t.equal((await followRedirects(`${fixture.origin}?token=${evil}`)).status, 404);
    const { callback } = await browse(address, federation.users.alice, environment.pki.ca);
    await callback?.send();
    const { token } = await checkTerminalSuccess(t, terminal, fixture.home);
    t.match(await validateToken(environment.http, token), { user: { name: federation.users.alice.email } });
  });
  await t.test('rejects a token without a role on the project', async (t) => {
    const terminal = fixture.start({}, ['--force-refresh']);
    await waitForAddress(terminal);
    const before = (await fixture.requests()).length;
    t.equal(await post({ Origin: 'null' }, { token: evil }), 200);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), /accepted the login, but not for .* on project demo/);
    t.equal(readStdout(fixture.home), '');
    t.strictSame((await fixture.requests()).slice(before), [LOOK, 'POST /v3/auth/tokens?nocatalog=true 401']);
  });
  await t.test('rejects the token of another user with --user-id', async (t) => {
    const bob = await logIn(environment.http, users.bob, 'unscoped');
    const terminal = fixture.start({ OS_USER_ID: users.alice.id }, ['--force-refresh']);
    await waitForAddress(terminal);
    t.equal(await post({ Origin: 'null' }, { token: bob }), 200);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.protocol, terminal.screen());
    t.match(terminal.screen(), /a token for another user/);
    t.equal(readStdout(fixture.home), '');
  });
  await t.test('rejects an unknown token after one request', async (t) => {
    const terminal = fixture.start({}, ['--force-refresh']);
    await waitForAddress(terminal);
    const before = (await fixture.requests()).length;
    t.equal(await post({}, { token: 'gAAAAAcanary' }), 200);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), 'does not accept the token that the browser brought');
    t.notMatch(terminal.raw(), 'gAAAAAcanary');
    t.equal((await fixture.requests()).length, before + 1);
  });
});

testWithFederation('without a user, or after the login timeout', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const result = await runPlugin({ home: fixture.home, env: fixture.env });
  checkFailure(t, result, EXIT_STATUS.interaction, { says: ['needs a user with a browser', 'no terminal'] });
  const nothing = await runPlugin({ home: fixture.home, env: { ...fixture.env, OS_PROTOCOL: undefined } });
  checkFailure(t, nothing, EXIT_STATUS.interaction, { says: ['federation protocol is not set', 'OS_PROTOCOL'] });

  const waiting = runWithStty(makeTerminalCommand({ home: fixture.home, env: fixture.env }), async (terminal) => {
    await waitForAddress(terminal);
    terminal.type('\x03');
  });
  const { exitCode, before, after } = await waiting;
  t.equal(exitCode, 130, 'Ctrl-C ends the login');
  t.equal(after, before);
  await t.rejects(followRedirects(fixture.origin), 'nothing listens any more');
  t.strictSame(await fixture.requests(), []);
});
