// Against: a real Keystone behind Apache with mod_auth_openidc, and a real identity provider.

import type { Test } from 'tap';
import type { FederationAddress } from '../../scripts/federation/federation.ts';
import { browse } from '../support/scripted-browser.ts';
import { PASTE_PROMPT } from '../support/browser-login.ts';
import { checkTerminalSuccess, followRedirects, makeTerminalCommand, readStdout } from '../support/browser-login.ts';
import { startOnTerminal, waitForAddress } from '../support/browser-login.ts';
import { waitForRequests, reserveDashboardPort, testWithFederation } from '../support/federation.ts';
import { sendRequest } from '../support/send-request.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { onProject } from '../support/login-settings.ts';
import { describeRequest, watchRequests } from '../support/request-log.ts';
import { logIn, validateToken } from '../support/tenancy.ts';
import { runWithStty } from '../support/terminal.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

const LOOK = 'GET /v3/auth/tokens?nocatalog=true 200';
const RESCOPE = 'POST /v3/auth/tokens?nocatalog=true 201';

interface WebSsoFixture {
  /** Has settings for v3websso and the project demo. */
  readonly user: Fixture;
  /** The address to which Keystone sends the browser with the token. */
  readonly origin: string;
  /** Waits for `count` token requests to Keystone, which only the plugin sends, and lists all of them. */
  readonly listTokenRequests: (count: number) => Promise<readonly string[]>;
}

async function setUpWebSso(
  t: Test,
  federation: FederationAddress,
  environment: TestEnvironment,
): Promise<WebSsoFixture> {
  const keystone = watchRequests(federation.keystone);
  const port = await reserveDashboardPort(federation);
  const settings = {
    OS_AUTH_TYPE: 'v3websso',
    OS_CACERT: environment.pki.ca,
    OS_IDENTITY_PROVIDER: federation.provider,
    OS_PROTOCOL: federation.protocol,
    OS_REDIRECT_PORT: String(port),
    ...onProject(environment.tenancy.projects.demo, environment.tenancy.domain),
  };
  const log = { address: keystone, ca: environment.pki.ca, only: /\/auth\/tokens/ };
  return {
    user: setUp(t, { keystone, settings }),
    origin: `http://localhost:${String(port)}/auth/websso/`,
    listTokenRequests: async (count) => (await waitForRequests(log, count)).map(describeRequest),
  };
}

testWithFederation('v3websso logs in with a browser', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const { alice } = federation.users;
  const { ca } = environment.pki;
  const withoutProject = { OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined };
  const special = `/v3/auth/OS-FEDERATION/identity_providers/${federation.provider}/protocols/${federation.protocol}/websso`;
  const general = `/v3/auth/OS-FEDERATION/websso/${federation.protocol}`;
  const cases = {
    'the scope is a project': [{}, special, { project: { name: 'demo' } }, [LOOK, RESCOPE]],
    'the identity provider is not named': [
      { OS_IDENTITY_PROVIDER: undefined },
      general,
      { project: { name: 'demo' } },
      [LOOK, RESCOPE],
    ],
    'the scope is a domain': [
      { ...withoutProject, OS_DOMAIN_NAME: environment.tenancy.domain.name },
      special,
      { domain: { name: environment.tenancy.domain.name } },
      [LOOK, RESCOPE],
    ],
    'the token has no scope': [withoutProject, special, { project: undefined }, [LOOK]],
  } as const;
  for (const [name, [env, path, wanted, requests]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const user = fixture.user.with(env);
      const before = (await fixture.listTokenRequests(0)).length;
      const terminal = startOnTerminal(t, user);
      const address = new URL(await waitForAddress(terminal));
      t.ok(address.pathname.endsWith(path), address.pathname);
      t.equal(address.searchParams.get('origin'), fixture.origin);
      const { callback } = await browse(address.href, alice, ca);
      t.match(callback, { method: 'POST', url: { href: fixture.origin } });
      const page = await callback?.send();
      t.match(page, { status: 200, body: 'You can close this window' });
      const { token } = await checkTerminalSuccess(t, terminal, user, [callback?.form.get('token') ?? 'none']);
      t.notMatch(terminal.screen(), PASTE_PROMPT, 'there is no prompt to paste, because Keystone posts a form');
      t.match(terminal.screen(), /ssh -L (\d+):localhost:\1 /, 'the output tells how to forward the port');
      t.match(terminal.screen(), `Keystone knows you as ${alice.email}`);
      if (name === 'the token has no scope') t.match(terminal.screen(), 'the token has no scope');
      const sent = await fixture.listTokenRequests(before + requests.length);
      t.strictSame(sent.slice(before), requests);
      t.match(await validateToken(environment.http, token), { user: { name: alice.email }, ...wanted });

      t.strictSame(
        await user.run(),
        { status: 0, signal: null, stdout: readStdout(user), stderr: '' },
        'a cache hit sends no request',
      );
      t.equal((await fixture.listTokenRequests(0)).length, before + requests.length);
      t.notOk(user.readCache().includes(alice.password));
    });
  }
});

testWithFederation('a port that Keystone does not trust ends with the timeout', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const user = fixture.user.with({ OS_REDIRECT_PORT: String(await findFreePort()) });
  const terminal = startOnTerminal(t, user, '--login-timeout=4');
  const { page, callback } = await browse(await waitForAddress(terminal), federation.users.alice, environment.pki.ca);
  t.equal(callback, undefined);
  // Keystone reports the reason only in its log.
  t.match(page, { status: 401, body: 'requires authentication' });
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.unreachable);
  t.match(terminal.screen(), /within 4 s .*error 401.*trusted_dashboard.*--login-timeout/);
  t.equal(readStdout(user), '');
  t.strictSame(await fixture.listTokenRequests(0), []);
});

testWithFederation('pages of an attacker cannot log in as another user', async (t, federation, environment) => {
  const fixture = await setUpWebSso(t, federation, environment);
  const { user } = fixture;
  const { users } = environment.tenancy;
  const evil = await logIn(environment.http, users.mallory);
  const post = async (headers: Record<string, string>, form: Record<string, string>): Promise<number> =>
    (await sendRequest(fixture.origin, { ca: '', form, headers })).status;

  await t.test('a request with another origin or without a navigation is ignored', async (t) => {
    const terminal = startOnTerminal(t, user);
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
    const { token } = await checkTerminalSuccess(t, terminal, user);
    t.match(await validateToken(environment.http, token), { user: { name: federation.users.alice.email } });
  });
  await t.test('a token without a role on the project is rejected', async (t) => {
    const terminal = startOnTerminal(t, user, '--force-refresh');
    await waitForAddress(terminal);
    const before = (await fixture.listTokenRequests(0)).length;
    t.equal(await post({ Origin: 'null' }, { token: evil }), 200);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), /accepted the login, but not for .* on project demo/);
    t.equal(readStdout(user), '');
    const sent = await fixture.listTokenRequests(before + 2);
    t.strictSame(sent.slice(before), [LOOK, 'POST /v3/auth/tokens?nocatalog=true 401']);
  });
  await t.test('the token of another user is rejected if OS_USER_ID is set', async (t) => {
    const bob = await logIn(environment.http, users.bob, 'unscoped');
    const terminal = startOnTerminal(t, user.with({ OS_USER_ID: users.alice.id }), '--force-refresh');
    await waitForAddress(terminal);
    t.equal(await post({ Origin: 'null' }, { token: bob }), 200);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.protocol, terminal.screen());
    t.match(terminal.screen(), /a token for another user/);
    t.equal(readStdout(user), '');
  });
  await t.test('an unknown token is rejected after one request', async (t) => {
    const terminal = startOnTerminal(t, user, '--force-refresh');
    await waitForAddress(terminal);
    const before = (await fixture.listTokenRequests(0)).length;
    t.equal(await post({}, { token: 'gAAAAAcanary' }), 200);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
    t.match(terminal.screen(), 'does not accept the token that the browser brought');
    t.notMatch(terminal.raw(), 'gAAAAAcanary');
    t.equal((await fixture.listTokenRequests(before + 1)).length, before + 1);
  });
});

testWithFederation('v3websso needs a user, and Ctrl-C ends it', async (t, federation, environment) => {
  const { user, origin, listTokenRequests } = await setUpWebSso(t, federation, environment);
  checkFailure(t, await user.run(), EXIT_STATUS.interaction, { says: ['needs a user with a browser', 'no terminal'] });
  checkFailure(t, await user.with({ OS_PROTOCOL: undefined }).run(), EXIT_STATUS.interaction, {
    says: ['federation protocol is not set', 'OS_PROTOCOL'],
  });

  const { exitCode, before, after } = await runWithStty(makeTerminalCommand(user), async (terminal) => {
    await waitForAddress(terminal);
    terminal.type('\x03');
  });
  t.equal(exitCode, 130, 'Ctrl-C ends the login');
  t.equal(after, before);
  await t.rejects(followRedirects(origin), 'nothing listens any more');
  t.strictSame(await listTokenRequests(0), []);
});
