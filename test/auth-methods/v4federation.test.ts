// Against: a stand-in for Rust Keystone's v4, which no distribution contains yet.

import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { PASTE_PROMPT } from '../support/browser-login.ts';
import { checkTerminalSuccess, followRedirects, makeTerminalCommand, readStdout } from '../support/browser-login.ts';
import { startOnTerminal, waitForAddress } from '../support/browser-login.ts';
import { sendRequest } from '../support/send-request.ts';
import { checkFailure, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { makeExecInfo, makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import { serveV4Federation } from '../support/stand-in-v4-federation.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { openTerminal, runWithStty } from '../support/terminal.ts';
import type { SttyResult, Terminal } from '../support/terminal.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

t.setTimeout(170_000);

const UNSCOPED = 'the token has no scope';
const KNOWN = 'Keystone knows you as alice (domain acme)';

interface V4FederationFixture {
  readonly keystone: StandInKeystone;
  readonly home: Home;
  readonly port: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Lists the requests of the plugin, without those of the browser and of the stand-in itself. */
  requests(): string[];
  start(env?: Readonly<Record<string, string | undefined>>, args?: readonly string[]): Terminal;
}

async function setUpV4Federation(t: Test): Promise<V4FederationFixture> {
  const keystone = await startKeystoneForTest(t);
  serveV4Federation(keystone);
  const home = makeHome();
  t.teardown(() => home.remove());
  const port = await findFreePort();
  const env = {
    OS_AUTH_URL: `${keystone.url}/v3`,
    OS_AUTH_TYPE: 'v4federation',
    OS_IDENTITY_PROVIDER: 'dex',
    OS_PROJECT_NAME: 'web',
    OS_PROJECT_DOMAIN_NAME: 'acme',
    OS_REDIRECT_PORT: String(port),
  };
  return {
    keystone,
    home,
    port,
    env,
    requests: () =>
      keystone.requests
        .filter(({ headers }) => headers['user-agent']?.startsWith('client-keystone-auth/'))
        .map(({ method, path }) => `${method} ${path}`),
    start: (more = {}, args = []) => startOnTerminal(t, { home, env: { ...env, ...more }, args }),
  };
}

const PREPARE = 'POST /v4/federation/identity_providers/dex/auth';
const FINISH = 'POST /v4/federation/oidc/callback';

void t.test('the browser returns', async (t) => {
  const fixture = await setUpV4Federation(t);
  const { keystone, home, port } = fixture;
  const terminal = fixture.start();
  const address = await waitForAddress(terminal);
  const page = await followRedirects(address);
  t.equal(page.status, 200);
  t.match(page.body, 'You can close this window');
  const { token } = await checkTerminalSuccess(t, terminal, home);
  t.match(terminal.screen(), KNOWN);
  t.strictSame(fixture.requests(), [PREPARE, FINISH]);
  const [prepare, finish] = keystone.requests.filter(({ path }) => path.startsWith('/v4/'));
  t.strictSame(prepare?.body, {
    redirect_uri: `http://localhost:${String(port)}/oidc/callback`,
    scope: { project: { name: 'web', domain: { name: 'acme' } } },
  });
  const state = new URL(address).searchParams.get('state');
  t.match(finish?.body, { code: /^canary-code-/, state });
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const facts = await (await fetch(`${keystone.url}/v3/auth/tokens`, { headers })).json();
  t.match(facts, { token: { user: { name: 'alice' }, project: { name: 'web' } } });

  const storedFiles = readdirSync(home.cache).map((name) => readFileSync(join(home.cache, name), 'utf8'));
  t.notMatch(`${storedFiles.join('')}${terminal.raw()}`, 'canary-code', 'the code is neither printed nor stored');
  const again = await runPlugin({ home, env: fixture.env });
  t.strictSame(
    again,
    { status: 0, signal: null, stdout: readStdout(home), stderr: '' },
    'a cache hit sends no request',
  );
  t.equal(fixture.requests().length, 2);
});

void t.test('scopes', async (t) => {
  const fixture = await setUpV4Federation(t);
  const none = { OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined };
  const cases = {
    'by id': [
      { ...none, OS_PROJECT_ID: 'c8e48b74036546c5b12bfc798932c4e2' },
      { project: { id: 'c8e48b74036546c5b12bfc798932c4e2' } },
    ],
    'a domain': [{ ...none, OS_DOMAIN_NAME: 'acme' }, { domain: { name: 'acme' } }],
    'the system': [{ ...none, OS_SYSTEM_SCOPE: 'all' }, { system: { all: true } }],
    none: [none, undefined],
    'explicitly unscoped': [{ ...none, OS_UNSCOPED: 'true' }, undefined],
  } as const;
  for (const [name, [env, scope]] of Object.entries(cases)) {
    const before = fixture.keystone.requests.length;
    const terminal = fixture.start(env);
    await followRedirects(await waitForAddress(terminal));
    await checkTerminalSuccess(t, terminal, fixture.home);
    const [prepare] = fixture.keystone.requests.slice(before);
    t.strictSame((prepare?.body as { scope?: unknown }).scope, scope, name);
    if (scope === undefined) t.match(terminal.screen(), UNSCOPED);
  }
});

void t.test('rejects a token for another project', async (t) => {
  const fixture = await setUpV4Federation(t);
  const terminal = fixture.start({
    OS_PROJECT_NAME: undefined,
    OS_PROJECT_DOMAIN_NAME: undefined,
    OS_PROJECT_ID: 'b3c86ab0ae364399a0429475e0f753c4',
  });
  fixture.keystone.answerNext((request, response, { makeDefaultResponse }) => {
    // As a mapping with a fixed scope does.
    const { auth } = request.body as { auth: { scope: unknown } };
    auth.scope = { project: { id: 'c8e48b74036546c5b12bfc798932c4e2' } };
    const { status, headers, body } = makeDefaultResponse();
    response.writeHead(status, headers).end(JSON.stringify(body));
  }, 'POST /v3/auth/tokens');
  await followRedirects(await waitForAddress(terminal));
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.protocol);
  t.match(terminal.screen(), /a token for another project/);
  t.equal(readStdout(fixture.home), '');
});

void t.test('ignores responses of other logins', async (t) => {
  const fixture = await setUpV4Federation(t);
  const terminal = fixture.start();
  const address = await waitForAddress(terminal);
  const callback = `http://localhost:${String(fixture.port)}/oidc/callback`;
  for (const query of [
    'code=evil&state=evil',
    'code=evil',
    'error=access_denied',
    'error=access_denied&state=evil',
    '',
  ]) {
    t.equal((await followRedirects(`${callback}?${query}`)).status, 400, query);
  }
  const posted = await followRedirects(callback, { code: 'evil', state: 'evil' });
  t.equal(posted.status, 404);
  t.equal((await followRedirects(new URL('/favicon.ico', callback).href)).status, 404);
  await followRedirects(address);
  await checkTerminalSuccess(t, terminal, fixture.home);
  t.strictSame(fixture.requests(), [PREPARE, FINISH]);
});

void t.test('the provider refuses', async (t) => {
  const fixture = await setUpV4Federation(t);
  const terminal = fixture.start();
  const state = new URL(await waitForAddress(terminal)).searchParams.get('state') ?? '';
  const query = new URLSearchParams({ error: 'access_denied', error_description: '\u001b[31mno\u202e', state });
  const page = await followRedirects(`http://localhost:${String(fixture.port)}/oidc/callback?${query.toString()}`);
  t.match(page.body, 'The terminal shows the reason');
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused);
  t.match(terminal.screen(), /the identity provider refused the user in the browser.*the login was denied/);
  t.notMatch(terminal.screen(), '\u202e');
  t.strictSame(fixture.requests(), [PREPARE]);
  t.equal(readStdout(fixture.home), '');
});

void t.test('Keystone refuses', async (t) => {
  const fixture = await setUpV4Federation(t);
  const cases = [
    [
      'an unknown identity provider',
      { OS_IDENTITY_PROVIDER: 'nobody' },
      /has no identity provider "nobody"; check OS_IDENTITY_PROVIDER/,
    ],
  ] as const;
  for (const [name, env, says] of cases) {
    const terminal = fixture.start(env);
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused, name);
    t.match(terminal.screen(), says);
  }
  const answers = [
    [403, 'Forbidden', EXIT_STATUS.refused, /is disabled, or does not allow http:\/\/localhost:\d+\/oidc\/callback/],
    [400, 'mapping required', EXIT_STATUS.refused, /Keystone rejected the request: mapping required/],
    [503, 'later', EXIT_STATUS.unreachable, /Keystone is unavailable \(503/],
    [200, { auth_url: 'javascript:alert(1)?state=x' }, EXIT_STATUS.protocol, /returned no login address/],
    [200, { auth_url: 'https://idp.example.com/' }, EXIT_STATUS.protocol, /without a state/],
    [200, { other: 1 }, EXIT_STATUS.protocol, /returned no login address/],
  ] as const;
  for (const [status, body, exit, says] of answers) {
    fixture.keystone.answerAlways((_request, response) => {
      const text = JSON.stringify(typeof body === 'string' ? { error: { code: status, message: body } } : body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    }, PREPARE);
    const before = fixture.requests().length;
    const terminal = fixture.start({}, ['--force-refresh']);
    t.equal((await terminal.ended).exitCode, exit, terminal.screen());
    t.match(terminal.screen(), says);
    if (status !== 503) t.equal(fixture.requests().length, before + 1, 'one request is sent');
  }
  serveV4Federation(fixture.keystone);
  for (const status of [401, 404, 500]) {
    const terminal = fixture.start({}, ['--force-refresh']);
    const address = await waitForAddress(terminal);
    const before = fixture.requests().length;
    fixture.keystone.answerNext((_request, response) => {
      response.writeHead(status).end(JSON.stringify({ error: { code: status, message: 'no' } }));
    }, FINISH);
    await followRedirects(address);
    t.equal(
      (await terminal.ended).exitCode,
      status === 500 ? EXIT_STATUS.unreachable : EXIT_STATUS.refused,
      terminal.screen(),
    );
    t.equal(fixture.requests().length, before + 1, 'a code is sent once');
    t.equal(readStdout(fixture.home), '');
  }
});

/** Follows the address like a browser on another machine, and returns the address that it cannot reach. */
async function endOf(address: string): Promise<string> {
  return (await sendRequest(address, { ca: '' })).headers.location ?? '';
}

const SSH = { SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22', DISPLAY: ':0', BROWSER: '/bin/false' };

void t.test('over SSH: the user pastes the address', async (t) => {
  const fixture = await setUpV4Federation(t);
  const pastes = {
    'the whole address': (end: string) => end,
    'its query': (end: string) => new URL(end).search,
    'its query without the question mark': (end: string) => new URL(end).search.slice(1),
    'the code alone': (end: string) => new URL(end).searchParams.get('code') ?? '',
    'with spaces around it': (end: string) => `  ${end} `,
  };
  for (const [name, paste] of Object.entries(pastes)) {
    const terminal = fixture.start(SSH, ['--force-refresh']);
    const end = await endOf(await waitForAddress(terminal));
    await terminal.waitFor(PASTE_PROMPT);
    terminal.type(`${paste(end)}\r`);
    await checkTerminalSuccess(t, terminal, fixture.home);
    t.notMatch(terminal.raw(), 'canary-code', `${name}: the code is not shown`);
  }
});

void t.test('prompts again for an address that cannot be used', async (t) => {
  const fixture = await setUpV4Federation(t);
  const terminal = fixture.start(SSH);
  const end = await endOf(await waitForAddress(terminal));
  const foreign = end.replace(/state=[^&]*/, 'state=other');
  for (const text of [foreign, 'https://example.com/', 'two words']) {
    await terminal.waitFor(PASTE_PROMPT);
    terminal.type(`${text}\r`);
    await terminal.waitFor('paste the whole address');
  }
  await terminal.waitFor(PASTE_PROMPT);
  terminal.type(`${end}\r`);
  await checkTerminalSuccess(t, terminal, fixture.home);
  t.strictSame(fixture.requests(), [PREPARE, FINISH]);
});

async function around(
  t: Test,
  fixture: V4FederationFixture,
  during: (terminal: Terminal) => Promise<void>,
  args: readonly string[] = [],
): Promise<SttyResult> {
  const run = await runWithStty(makeTerminalCommand({ home: fixture.home, env: fixture.env, args }), during);
  t.equal(run.after, run.before, 'the terminal is restored');
  return run;
}

void t.test('restores the terminal after every login', async (t) => {
  await t.test('the browser returns during the prompt', async (t) => {
    const fixture = await setUpV4Federation(t);
    const { exitCode } = await around(t, fixture, async (terminal) => {
      const address = await waitForAddress(terminal);
      await terminal.waitFor(PASTE_PROMPT);
      terminal.type('half of something');
      await followRedirects(address);
    });
    t.equal(exitCode, 0);
  });
  for (const [name, typed] of [
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
  ] as const) {
    await t.test(name, async (t) => {
      const fixture = await setUpV4Federation(t);
      const { exitCode, screen } = await around(t, fixture, async (terminal) => {
        await terminal.waitFor(PASTE_PROMPT);
        terminal.type(typed);
      });
      t.equal(exitCode, EXIT_STATUS.cancelled);
      t.match(screen, 'cancelled at the prompt');
      await t.rejects(followRedirects(`http://localhost:${String(fixture.port)}/`), 'nothing listens any more');
    });
  }
  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    await t.test(name, async (t) => {
      const fixture = await setUpV4Federation(t);
      const { exitCode } = await around(t, fixture, async (terminal) => {
        await terminal.waitFor(PASTE_PROMPT);
        terminal.signal(name);
      });
      t.equal(exitCode, status);
    });
  }
  await t.test('Ctrl-Z, and then the browser returns', async (t) => {
    const fixture = await setUpV4Federation(t);
    const { exitCode, before, whileStopped } = await around(t, fixture, async (terminal) => {
      const address = await waitForAddress(terminal);
      await terminal.waitFor(PASTE_PROMPT);
      terminal.type('\x1a');
      await terminal.waitFor(PASTE_PROMPT);
      await followRedirects(address);
    });
    t.equal(exitCode, 0);
    t.strictSame(whileStopped, [before]);
  });
  await t.test('the login timeout passes', async (t) => {
    const fixture = await setUpV4Federation(t);
    const during = async (terminal: Terminal): Promise<void> => {
      await terminal.waitFor(PASTE_PROMPT);
    };
    const { exitCode, screen } = await around(t, fixture, during, ['--login-timeout=2']);
    t.equal(exitCode, EXIT_STATUS.unreachable);
    t.match(screen, /the login in the browser did not finish within 2 s; .*--login-timeout/);
    t.equal(readStdout(fixture.home), '');
  });
});

void t.test('after a timeout, the same kubectl does not open the browser again', async (t) => {
  const fixture = await setUpV4Federation(t);
  const {
    file,
    args = [],
    ...rest
  } = makeTerminalCommand({
    home: fixture.home,
    env: { ...fixture.env, KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true }) },
    args: ['--login-timeout=1'],
  });
  const twice = ['-c', '"$@"; "$@"', 'sh', file, ...args];
  const terminal = openTerminal({ file: '/bin/sh', args: twice, ...rest });
  t.teardown(() => terminal.close());
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused, terminal.screen());
  t.match(terminal.screen(), /this login was refused \d+ s ago, and is not tried again yet/);
  t.equal(terminal.screen().split('Open this address').length, 2, 'the address is shown once');
  t.strictSame(fixture.requests(), [PREPARE]);
});

void t.test('without a user', async (t) => {
  const fixture = await setUpV4Federation(t);
  await t.test('fails immediately without a terminal', async (t) => {
    const began = Date.now();
    const result = await runPlugin({ home: fixture.home, env: { ...fixture.env, DISPLAY: ':0' } });
    t.ok(Date.now() - began < 10_000);
    checkFailure(t, result, EXIT_STATUS.interaction, { says: ['needs a user with a browser', 'no terminal'] });
    t.strictSame(fixture.requests(), []);
  });
  await t.test('the identity provider is not set', async (t) => {
    const result = await runPlugin({ home: fixture.home, env: { ...fixture.env, OS_IDENTITY_PROVIDER: undefined } });
    checkFailure(t, result, EXIT_STATUS.interaction, {
      says: ['identity provider is not set', 'OS_IDENTITY_PROVIDER'],
    });
  });
  await t.test('waits for the browser alone when kubectl uses the terminal', async (t) => {
    const terminal = fixture.start({ KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: false }) });
    await followRedirects(await waitForAddress(terminal));
    await checkTerminalSuccess(t, terminal, fixture.home);
    t.notMatch(terminal.screen(), PASTE_PROMPT);
  });
});

void t.test('the port', async (t) => {
  const fixture = await setUpV4Federation(t);
  for (const port of ['0', '65536', 'x', '-1', '80 ']) {
    const terminal = fixture.start({ OS_REDIRECT_PORT: port });
    t.equal((await terminal.ended).exitCode, EXIT_STATUS.config, port);
    t.match(terminal.screen(), 'OS_REDIRECT_PORT must be a port from 1 to 65535');
  }
  const server = createServer();
  t.teardown(() => server.close());
  await new Promise<void>((done) => server.listen(fixture.port, '127.0.0.1', done));
  const terminal = fixture.start();
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.config);
  t.match(terminal.screen(), /another program uses it; .*OS_REDIRECT_PORT/);
  t.strictSame(fixture.requests(), []);
});
