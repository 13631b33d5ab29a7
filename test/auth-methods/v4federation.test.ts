// Against: a stand-in for two versions of Rust Keystone, made from exchanges with the real ones.

import { createServer } from 'node:http';
import t from 'tap';
import type { Test } from 'tap';
import { checkBrowserSuccess, startBrowserLogin } from '../support/browser-login-in-process.ts';
import { PASTE_PROMPT } from '../support/browser-login.ts';
import { checkTerminalSuccess, followRedirects, makeTerminalCommand, paste } from '../support/browser-login.ts';
import { readStdout, startOnTerminal, waitForAddress } from '../support/browser-login.ts';
import { checkFailure, EXIT_STATUS, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import { makeExecInfo } from '../support/home.ts';
import { sendRequest } from '../support/send-request.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { serveV4Federation } from '../support/stand-in-v4-federation.ts';
import type { FederationFaults } from '../support/stand-in-v4-federation.ts';
import type { RustKeystoneVersion } from '../support/stand-in-v4-versions.ts';
import { stopClock } from '../support/stopped-clock.ts';
import { openTerminal, runWithStty } from '../support/terminal.ts';
import type { SttyResult, Terminal } from '../support/terminal.ts';
import { prepareTimeJump, UNTIL_JUMP } from '../support/time-jump.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';

const UNSCOPED = 'the token has no scope';
const KNOWN = 'Keystone knows you as alice (domain acme)';

interface V4FederationFixture {
  readonly keystone: StandInKeystone;
  /** Has settings for the provider dex and the project web. */
  readonly user: Fixture;
  /** The address to which the provider sends the browser. */
  readonly callback: string;
  readonly port: number;
  /** Lists the requests of the plugin, without those of the browser and of the stand-in itself. */
  readonly listPluginRequests: () => string[];
}

async function setUpV4Federation(
  t: Test,
  version?: RustKeystoneVersion,
  faults?: FederationFaults,
): Promise<V4FederationFixture> {
  const keystone = await startKeystoneForTest(t);
  serveV4Federation(keystone, version, faults);
  const port = await findFreePort();
  const settings = {
    OS_AUTH_TYPE: 'v4federation',
    OS_IDENTITY_PROVIDER: 'dex',
    OS_PROJECT_NAME: 'web',
    OS_PROJECT_DOMAIN_NAME: 'acme',
    OS_REDIRECT_PORT: String(port),
  };
  return {
    keystone,
    user: setUp(t, { keystone, settings }),
    callback: `http://localhost:${String(port)}/oidc/callback`,
    port,
    listPluginRequests: () =>
      keystone.requests
        .filter(({ headers }) => headers['user-agent']?.startsWith('client-keystone-auth/'))
        .map(({ method, path }) => `${method} ${path}`),
  };
}

const PREPARE = 'POST /v4/federation/identity_providers/dex/auth';
const FINISH = 'POST /v4/federation/oidc/callback';
const WITHOUT_SCOPE = { OS_PROJECT_NAME: undefined, OS_PROJECT_DOMAIN_NAME: undefined };

void t.test('v4federation logs in when the browser returns', async (t) => {
  const { keystone, user, callback, listPluginRequests } = await setUpV4Federation(t);
  const terminal = startOnTerminal(t, user);
  const address = await waitForAddress(terminal);
  const page = await followRedirects(address);
  t.equal(page.status, 200);
  t.match(page.body, 'You can close this window');
  const { token } = await checkTerminalSuccess(t, terminal, user);
  t.match(terminal.screen(), KNOWN);
  t.strictSame(listPluginRequests(), [PREPARE, FINISH]);
  const [prepare, finish] = keystone.requests.filter(({ path }) => path.startsWith('/v4/'));
  t.strictSame(prepare?.body, {
    redirect_uri: callback,
    scope: { project: { name: 'web', domain: { name: 'acme' } } },
  });
  const state = new URL(address).searchParams.get('state');
  t.match(finish?.body, { code: /^canary-code-/, state });
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const facts = await (await fetch(`${keystone.url}/v3/auth/tokens`, { headers })).json();
  t.match(facts, { token: { user: { name: 'alice' }, project: { name: 'web' } } });

  t.notMatch(`${user.readCache()}${terminal.raw()}`, 'canary-code', 'the code is neither printed nor stored');
  t.strictSame(
    await user.run(),
    { status: 0, signal: null, stdout: readStdout(user), stderr: '' },
    'a cache hit sends no request',
  );
  t.equal(listPluginRequests().length, 2);
});

for (const version of ['june', 'august'] as const) {
  void t.test(`v4federation reads the token of version ${version}`, async (t) => {
    const { user } = await setUpV4Federation(t, version);
    const login = startBrowserLogin(user);
    await followRedirects(await login.address);
    await checkBrowserSuccess(t, login);
    t.match(await user.run('whoami'), { status: 0, stdout: /^Project +web /m }, 'the token is cached');
  });
}

void t.test('v4federation asks for the scope that is set', async (t) => {
  const { keystone, user } = await setUpV4Federation(t);
  const cases = {
    'a project by ID': [
      { OS_PROJECT_ID: 'c8e48b74036546c5b12bfc798932c4e2' },
      { project: { id: 'c8e48b74036546c5b12bfc798932c4e2' } },
    ],
    'a domain': [{ OS_DOMAIN_NAME: 'acme' }, { domain: { name: 'acme' } }],
    'the system': [{ OS_SYSTEM_SCOPE: 'all' }, { system: { all: true } }],
    nothing: [{}, undefined],
    'no scope': [{ OS_UNSCOPED: 'true' }, undefined],
  } as const;
  for (const [name, [settings, scope]] of Object.entries(cases)) {
    const before = keystone.requests.length;
    const login = startBrowserLogin(user.with({ ...WITHOUT_SCOPE, ...settings }));
    await followRedirects(await login.address);
    const { stderr } = await checkBrowserSuccess(t, login);
    const [prepare] = keystone.requests.slice(before);
    t.strictSame((prepare?.body as { scope?: unknown }).scope, scope, name);
    if (scope === undefined) t.match(stderr, UNSCOPED);
  }
});

void t.test('v4federation rejects a token for another project', async (t) => {
  const { keystone, user } = await setUpV4Federation(t);
  const settings = { ...WITHOUT_SCOPE, OS_PROJECT_ID: 'b3c86ab0ae364399a0429475e0f753c4' };
  const login = startBrowserLogin(user.with(settings));
  keystone.answerNext((request, response, { makeDefaultResponse }) => {
    // As a mapping with a fixed scope does.
    const { auth } = request.body as { auth: { scope: unknown } };
    auth.scope = { project: { id: 'c8e48b74036546c5b12bfc798932c4e2' } };
    const { status, headers, body } = makeDefaultResponse();
    response.writeHead(status, headers).end(JSON.stringify(body));
  }, 'POST /v3/auth/tokens');
  await followRedirects(await login.address);
  const { status, stdout, stderr } = await login.ended;
  t.equal(status, EXIT_STATUS.protocol);
  t.match(stderr, /a token for another project/);
  t.equal(stdout, '');
});

void t.test('v4federation ignores responses of other logins', async (t) => {
  const { user, callback, listPluginRequests } = await setUpV4Federation(t);
  const terminal = startOnTerminal(t, user);
  const address = await waitForAddress(terminal);
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
  await checkTerminalSuccess(t, terminal, user);
  t.strictSame(listPluginRequests(), [PREPARE, FINISH]);
});

void t.test('v4federation shows why the provider refuses, without control characters', async (t) => {
  const { user, callback, listPluginRequests } = await setUpV4Federation(t);
  const login = startBrowserLogin(user);
  const state = new URL(await login.address).searchParams.get('state') ?? '';
  const query = new URLSearchParams({ error: 'access_denied', error_description: '\u001b[31mno\u202e', state });
  const page = await followRedirects(`${callback}?${query.toString()}`);
  t.match(page.body, 'The terminal shows the reason');
  const { status, stdout, stderr } = await login.ended;
  t.equal(status, EXIT_STATUS.refused);
  t.match(stderr, /the identity provider refused the user in the browser.*the login was denied/);
  t.notMatch(stderr, /\u202e|\u001b/);
  t.strictSame(listPluginRequests(), [PREPARE]);
  t.equal(stdout, '');
});

void t.test('v4federation shows why Keystone refuses the login', async (t) => {
  const { keystone, user, listPluginRequests } = await setUpV4Federation(t);
  await t.test('the identity provider is unknown', async (t) => {
    const { status, stderr } = await startBrowserLogin(user.with({ OS_IDENTITY_PROVIDER: 'nobody' })).ended;
    t.equal(status, EXIT_STATUS.refused);
    t.match(stderr, /has no identity provider "nobody"; check OS_IDENTITY_PROVIDER/);
  });
  const answers = [
    [403, 'Forbidden', EXIT_STATUS.refused, /is disabled, or does not allow http:\/\/localhost:\d+\/oidc\/callback/],
    [
      400,
      'mapping required',
      EXIT_STATUS.refused,
      /Keystone refused to begin a login with identity provider "dex": mapping required/,
    ],
    [503, 'later', EXIT_STATUS.unreachable, /Keystone is unavailable \(503/],
    [200, { auth_url: 'javascript:alert(1)?state=x' }, EXIT_STATUS.protocol, /returned no login address/],
    [200, { auth_url: 'https://idp.example.com/' }, EXIT_STATUS.protocol, /without a state/],
    [200, { other: 1 }, EXIT_STATUS.protocol, /returned no login address/],
  ] as const;
  for (const [code, body, exit, says] of answers) {
    await t.test(`Keystone answers ${code} ${JSON.stringify(body)}`, async (t) => {
      keystone.answerAlways((_request, response) => {
        const text = JSON.stringify(typeof body === 'string' ? { error: { code, message: body } } : body);
        response.writeHead(code, { 'content-type': 'application/json' }).end(text);
      }, PREPARE);
      const before = listPluginRequests().length;
      const { status, stderr } = await startBrowserLogin(user, '--force-refresh').ended;
      t.equal(status, exit, stderr);
      t.match(stderr, says);
      if (code !== 503) t.equal(listPluginRequests().length, before + 1, 'one request is sent');
    });
  }
  const refusals = [
    [{ isDisabled: true }, /refused to begin a login with identity provider "dex": .* Provider is disabled; /],
    [{ forbidsRedirects: true }, /Redirect URI not allowed; .*choose another port with OS_REDIRECT_PORT/],
    [{ hasNoRule: true }, /no matching rule found for the provided claims; .*ask the Keystone operator about the map/],
  ] as const;
  for (const [faults, says] of refusals) {
    await t.test(`in August's version, ${Object.keys(faults).join()}`, async (t) => {
      serveV4Federation(keystone, 'august', faults);
      const login = startBrowserLogin(user, '--force-refresh');
      if ('hasNoRule' in faults) await followRedirects(await login.address);
      const { status, stderr } = await login.ended;
      t.equal(status, EXIT_STATUS.refused, stderr);
      t.match(stderr, says);
    });
  }
  serveV4Federation(keystone);
  for (const code of [401, 404, 500]) {
    await t.test(`Keystone answers ${code} to the code`, async (t) => {
      const login = startBrowserLogin(user, '--force-refresh');
      const address = await login.address;
      const before = listPluginRequests().length;
      keystone.answerNext((_request, response) => {
        response.writeHead(code).end(JSON.stringify({ error: { code, message: 'no' } }));
      }, FINISH);
      await followRedirects(address);
      const { status, stdout, stderr } = await login.ended;
      t.equal(status, code === 500 ? EXIT_STATUS.unreachable : EXIT_STATUS.refused, stderr);
      t.equal(listPluginRequests().length, before + 1, 'a code is sent once');
      t.equal(stdout, '');
    });
  }
});

/** Follows the address like a browser on another machine, and returns the address that it cannot reach. */
async function endOf(address: string): Promise<string> {
  return (await sendRequest(address, { ca: '' })).headers.location ?? '';
}

const SSH = { SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22', DISPLAY: ':0', BROWSER: '/bin/false' };

void t.test('over SSH, the user pastes the address', async (t) => {
  const { user } = await setUpV4Federation(t);
  const pastes = {
    'the whole address is pasted': (end: string) => end,
    'its query is pasted': (end: string) => new URL(end).search,
    'its query without the question mark is pasted': (end: string) => new URL(end).search.slice(1),
    'the code alone is pasted': (end: string) => new URL(end).searchParams.get('code') ?? '',
    'spaces around it are ignored': (end: string) => `  ${end} `,
  };
  for (const [name, change] of Object.entries(pastes)) {
    await t.test(name, async (t) => {
      const terminal = startOnTerminal(t, user.with(SSH), '--force-refresh');
      const end = await endOf(await waitForAddress(terminal));
      await paste(terminal, `${change(end)}\r`);
      await checkTerminalSuccess(t, terminal, user);
      t.notMatch(terminal.raw(), 'canary-code', 'the code is not shown');
    });
  }
});

void t.test('an address that cannot be used is prompted for again', async (t) => {
  const { user, listPluginRequests } = await setUpV4Federation(t);
  const terminal = startOnTerminal(t, user.with(SSH));
  const end = await endOf(await waitForAddress(terminal));
  const foreign = end.replace(/state=[^&]*/, 'state=other');
  for (const text of [foreign, 'https://example.com/', 'two words']) {
    await paste(terminal, `${text}\r`);
    await terminal.waitFor('paste the whole address');
  }
  await paste(terminal, `${end}\r`);
  await checkTerminalSuccess(t, terminal, user);
  t.strictSame(listPluginRequests(), [PREPARE, FINISH]);
});

/** Runs a login between two readings of the terminal settings, which must be equal. */
async function runAndCompareSettings(
  t: Test,
  user: Fixture,
  during: (terminal: Terminal) => Promise<void>,
  ...args: readonly string[]
): Promise<SttyResult> {
  const run = await runWithStty(makeTerminalCommand(user, ...args), during);
  t.equal(run.after, run.before, 'the terminal is restored');
  return run;
}

// Most of these tests wait, so they run in parallel. A new object for each test, because tap changes it.
const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 4 });

void t.test('the terminal is restored, however a login ends', inParallel(), async (t) => {
  const tests = [
    t.test('the browser returns during the prompt', inParallel(), async (t) => {
      const { user } = await setUpV4Federation(t);
      const { exitCode } = await runAndCompareSettings(t, user, async (terminal) => {
        const address = await waitForAddress(terminal);
        await paste(terminal, 'half of something');
        await followRedirects(address);
      });
      t.equal(exitCode, 0);
    }),
    ...(
      [
        ['Ctrl-C', '\x03'],
        ['Ctrl-D', '\x04'],
      ] as const
    ).map(([name, typed]) =>
      t.test(`the user types ${name}`, inParallel(), async (t) => {
        const { user, port } = await setUpV4Federation(t);
        const { exitCode, screen } = await runAndCompareSettings(t, user, (terminal) => paste(terminal, typed));
        t.equal(exitCode, EXIT_STATUS.canceled);
        t.match(screen, 'canceled at the prompt');
        await t.rejects(followRedirects(`http://localhost:${String(port)}/`), 'nothing listens any more');
      }),
    ),
    ...(
      [
        ['SIGINT', 130],
        ['SIGTERM', 143],
        ['SIGHUP', 129],
      ] as const
    ).map(([name, status]) =>
      t.test(`the plugin receives ${name}`, inParallel(), async (t) => {
        const { user } = await setUpV4Federation(t);
        const { exitCode } = await runAndCompareSettings(t, user, async (terminal) => {
          await paste(terminal, '');
          terminal.signal(name);
        });
        t.equal(exitCode, status);
      }),
    ),
    t.test('the user types Ctrl-Z, and then the browser returns', inParallel(), async (t) => {
      const { user } = await setUpV4Federation(t);
      const { exitCode, before, whileStopped } = await runAndCompareSettings(t, user, async (terminal) => {
        const address = await waitForAddress(terminal);
        await paste(terminal, '\x1a');
        await paste(terminal, '');
        await followRedirects(address);
      });
      t.equal(exitCode, 0);
      t.strictSame(whileStopped, [before]);
    }),
    t.test('the login timeout passes', inParallel(), async (t) => {
      const { user } = await setUpV4Federation(t);
      const { settings, jump } = prepareTimeJump(user.home);
      const { exitCode, screen } = await runAndCompareSettings(
        t,
        user.with(settings),
        async (terminal) => {
          await paste(terminal, '');
          jump();
        },
        `--login-timeout=${UNTIL_JUMP}`,
      );
      t.equal(exitCode, EXIT_STATUS.unreachable);
      t.match(screen, new RegExp(`the login in the browser did not finish within ${UNTIL_JUMP} s; .*--login-timeout`));
      t.equal(readStdout(user), '');
    }),
  ];
  await Promise.all(tests);
});

void t.test('after a timeout, the same kubectl does not open the browser again', async (t) => {
  const { user, listPluginRequests } = await setUpV4Federation(t);
  const forKubectl = user.with({ KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: true }), ...stopClock(user.home) });
  const { file, args = [], ...rest } = makeTerminalCommand(forKubectl, '--login-timeout=1');
  const twice = ['-c', '"$@"; "$@"', 'sh', file, ...args];
  const terminal = openTerminal({ file: '/bin/sh', args: twice, ...rest });
  t.teardown(() => terminal.close());
  t.equal((await terminal.ended).exitCode, EXIT_STATUS.refused, terminal.screen());
  t.match(terminal.screen(), /this login was refused \d+ s ago, and is not tried again yet/);
  t.equal(terminal.screen().split('Open this address').length, 2, 'the address is shown once');
  t.strictSame(listPluginRequests(), [PREPARE]);
});

void t.test('v4federation needs a user', async (t) => {
  const { user, listPluginRequests } = await setUpV4Federation(t);
  await t.test('a run without a terminal fails before the first request', async (t) => {
    checkFailure(t, await user.with({ DISPLAY: ':0' }).run(), EXIT_STATUS.interaction, {
      says: ['needs a user with a browser', 'no terminal'],
    });
    t.strictSame(listPluginRequests(), []);
  });
  await t.test('a run without an identity provider fails', async (t) => {
    checkFailure(t, await user.with({ OS_IDENTITY_PROVIDER: undefined }).run(), EXIT_STATUS.interaction, {
      says: ['identity provider is not set', 'OS_IDENTITY_PROVIDER'],
    });
  });
  await t.test('a run waits for the browser alone when kubectl uses the terminal', async (t) => {
    const terminal = startOnTerminal(t, user.with({ KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: false }) }));
    await followRedirects(await waitForAddress(terminal));
    await checkTerminalSuccess(t, terminal, user);
    t.notMatch(terminal.screen(), PASTE_PROMPT);
  });
});

void t.test('v4federation checks the port before it sends a request', async (t) => {
  const { user, port, listPluginRequests } = await setUpV4Federation(t);
  for (const wrong of ['0', '65536', 'x', '-1', '8 0']) {
    const { status, stderr } = await startBrowserLogin(user.with({ OS_REDIRECT_PORT: wrong })).ended;
    t.equal(status, EXIT_STATUS.config, wrong);
    t.match(stderr, 'OS_REDIRECT_PORT must be a port from 1 to 65535');
  }
  const server = createServer();
  t.teardown(() => server.close());
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  const { status, stderr } = await startBrowserLogin(user).ended;
  t.equal(status, EXIT_STATUS.config);
  t.match(stderr, /another program uses it; .*OS_REDIRECT_PORT/);
  t.strictSame(listPluginRequests(), []);
});
