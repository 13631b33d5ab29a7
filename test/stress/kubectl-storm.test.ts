// How many requests one user causes at Keystone with kubectl: a hundred commands in parallel, a wrong password, a
// revoked token, a cluster that rejects all tokens. Too many requests lock accounts; with too few, the user is stuck
// with a revoked token. Only a real kubectl shows how often it runs the plugin.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Test } from 'tap';
import { readRecordFile } from '../../src/plugin/cache/file-store.ts';
import { expireTokens } from '../support/expire-tokens.ts';
import { stopClock } from '../support/stopped-clock.ts';
import { PATIENT, pickSize } from '../support/stress.ts';
import { APPLY_ARGS, CONFIG_MAP_MANIFEST, GET_PODS_ARGS, POD_LINE } from '../support/kubectl-fixture.ts';
import { makeAliceSettings, makeRecordingPlugin, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { makeExecInfo } from '../support/home.ts';
import { asUser } from '../support/login-settings.ts';
import { PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import { makeTotpCode, revokeToken, validateToken, WRONG_PASSCODE } from '../support/tenancy.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { listenOnLoopback } from '../../scripts/lib/listen-on-loopback.ts';

/** The requests to Keystone, in order, with their response status. */
const summarizeRequests = (fixture: KubectlFixture): string[] =>
  fixture.listKeystoneRequests().map(({ method, status }) => `${method} ${status}`);

const LOGIN = 'POST 201';

/** Reads the only token of the cache. */
function readOnlyToken(fixture: KubectlFixture): { key: string; token: string } {
  const names = readdirSync(fixture.home.cache).filter((name) => name.endsWith('.token'));
  const key = (names[0] ?? '').replace('.token', '');
  const record = readRecordFile({ path: fixture.home.cache, uid: process.geteuid?.() }, key);
  if (names.length !== 1 || record === undefined)
    throw new Error(`the cache does not hold exactly one token: ${names.join(', ')}`);
  return { key, token: record.token };
}

/** Asks Keystone about each token each time, like an API server without a cache. */
const validateAtKeystone =
  (environment: TestEnvironment) =>
  async (token: string): Promise<string | undefined> =>
    (await validateToken(environment.http, token))?.user.name;

testWithKubectl(
  'many parallel kubectl commands with an expired token cause one login',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    // A run that waits must not give up while a busy machine starts all of them.
    const env = makeAliceSettings(environment, fixture);
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, args: PATIENT, env });
    t.match(await fixture.kubectl(GET_PODS_ARGS), { status: 0, stdout: POD_LINE, stderr: '' });
    expireTokens(fixture.home.cache);
    const before = fixture.countLogins();
    const count = pickSize(100, 12);
    const runs = await Promise.all(Array.from({ length: count }, () => fixture.kubectl(GET_PODS_ARGS)));
    const failed = runs.filter(({ status, stdout }) => status !== 0 || !POD_LINE.test(stdout));
    t.strictSame(failed, [], `${count} parallel kubectl commands, expired token: ${failed.length} failed`);
    t.strictSame(
      runs.filter(({ stderr }) => stderr !== ''),
      [],
      'no command prints an error',
    );
    t.equal(fixture.countLogins() - before, 1, `${count} parallel kubectl commands, expired token: 1 login`);
    t.strictSame(summarizeRequests(fixture), [LOGIN, LOGIN], 'there is no other request');
    t.comment(`${count} parallel kubectl commands with an expired token: 1 login, all exit 0`);
  },
  ['new'],
);

testWithKubectl(
  'a wrong password causes one request, and the correct one works immediately',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { command, runs } = makeRecordingPlugin(fixture);
    const config = { command, provideClusterInfo: true };
    await fixture.writeKubeconfig({
      ...config,
      env: makeAliceSettings(environment, fixture, { OS_PASSWORD: 'canary-wrong' }),
    });
    t.not((await fixture.kubectl(GET_PODS_ARGS, { env: stopClock(fixture.home) })).status, 0);
    t.strictSame(
      summarizeRequests(fixture),
      ['POST 401'],
      `wrong password, ${runs().length} runs of the plugin: 1 request`,
    );
    t.comment(`wrong password, one cold get pods: ${runs().length} runs of the plugin, 1 request`);
    await fixture.writeKubeconfig({ ...config, env: makeAliceSettings(environment, fixture) });
    t.match(
      await fixture.kubectl(GET_PODS_ARGS),
      { status: 0, stdout: POD_LINE, stderr: '' },
      'the correct password works immediately',
    );
    t.strictSame(summarizeRequests(fixture), ['POST 401', LOGIN]);
  },
);

testWithKubectl(
  'two commands of one shell with a wrong password cause one request',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    await fixture.writeKubeconfig({
      command: PLUGIN_PATH,
      env: makeAliceSettings(environment, fixture, { OS_PASSWORD: undefined }),
    });
    const { alice } = environment.tenancy.users;
    // Two commands in one terminal: the second remembers the refusal of the first.
    const script = `"$@" get pods; "$@" get pods; OS_PASSWORD=$CORRECT "$@" get pods`;
    const env = { ...stopClock(fixture.home), OS_PASSWORD: 'canary-wrong', CORRECT: alice.password };
    const terminal = fixture.openShell(script, { env });
    await terminal.waitFor(POD_LINE);
    t.equal((await terminal.ended).exitCode, 0, 'the correct password works immediately');
    t.strictSame(summarizeRequests(fixture), ['POST 401', LOGIN], 'two commands with a wrong password: 1 request');
  },
);

testWithKubectl('a wrong password at the prompt causes one request and one prompt', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  const { command, runs } = makeRecordingPlugin(fixture);
  await fixture.writeKubeconfig({ command, env: makeAliceSettings(environment, fixture, { OS_PASSWORD: undefined }) });
  const { alice } = environment.tenancy.users;
  const wrong = fixture.kubectlOnTerminal(GET_PODS_ARGS, { env: stopClock(fixture.home) });
  await wrong.waitFor('Password');
  wrong.type('canary-wrong\r');
  t.not((await wrong.ended).exitCode, 0);
  const prompts = wrong.screen().match(/Password of [^\n?]*? at \S+ *:/g) ?? wrong.screen().match(/Password/g) ?? [];
  t.strictSame(summarizeRequests(fixture), ['POST 401'], `typed wrong: ${runs().length} runs, 1 request`);
  const errors = wrong.screen().match(/client-keystone-auth: Keystone refused the login/g) ?? [];
  t.equal(errors.length, 1, 'the error is printed once');
  t.match(
    wrong.screen(),
    'is not tried again yet: Keystone refused the login',
    'the other runs repeat it as the reason',
  );
  t.comment(`wrong password typed: ${runs().length} runs, ${new Set(prompts).size} prompt, 1 request`);
  // The prompt is redrawn for each key; a second prompt would be below the error of the first one.
  const textAfterError = wrong.screen().slice(wrong.screen().indexOf('refused the login'));
  t.notMatch(textAfterError, 'Password of', 'no second prompt');

  const correct = fixture.kubectlOnTerminal(GET_PODS_ARGS);
  await correct.waitFor('Password');
  correct.type(`${alice.password}\r`);
  await correct.waitFor(POD_LINE);
  t.equal((await correct.ended).exitCode, 0, 'the next command prompts again and succeeds');
  t.strictSame(summarizeRequests(fixture), ['POST 401', LOGIN]);
});

testWithKubectl('a canceled prompt is not repeated', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program });
  await fixture.writeKubeconfig({
    command: PLUGIN_PATH,
    env: makeAliceSettings(environment, fixture, { OS_PASSWORD: undefined }),
  });
  const terminal = fixture.kubectlOnTerminal(GET_PODS_ARGS, { env: stopClock(fixture.home) });
  await terminal.waitFor('Password');
  terminal.type('\x04');
  t.not((await terminal.ended).exitCode, 0);
  t.strictSame(summarizeRequests(fixture), [], terminal.screen());
});

testWithKubectl(
  'the next command asks again for a passcode that was mistyped or canceled',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const { users, domain } = environment.tenancy;
    const env = makeAliceSettings(environment, fixture, asUser(users.mfa, domain));
    await fixture.writeKubeconfig({ command: PLUGIN_PATH, env });
    const answer = async (text: string): Promise<string> => {
      const terminal = fixture.kubectlOnTerminal(GET_PODS_ARGS, { env: stopClock(fixture.home) });
      await terminal.waitFor(/passcode/i);
      terminal.type(text);
      t.not((await terminal.ended).exitCode, 0);
      return terminal.screen();
    };
    t.match(await answer(`${WRONG_PASSCODE}\r`), 'refused the additional factor');
    t.strictSame(summarizeRequests(fixture), ['POST 401', 'POST 401'], 'the password, and the passcode');
    const canceled = await answer('\x03');
    t.notMatch(canceled, /was refused/, 'canceling is no refusal');
    t.strictSame(summarizeRequests(fixture).slice(2), ['POST 401'], 'the password, once');
    const correct = fixture.kubectlOnTerminal(GET_PODS_ARGS);
    await correct.waitFor(/passcode/i);
    correct.type(`${makeTotpCode(users.mfa.totpSecret, Date.now())}\r`);
    await correct.waitFor(POD_LINE);
    t.equal((await correct.ended).exitCode, 0);
    t.strictSame(summarizeRequests(fixture).slice(3), ['POST 401', LOGIN]);
  },
  ['new'],
);

testWithKubectl('after a revoked token at most one command fails', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program, authenticate: validateAtKeystone(environment) });
  await fixture.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(environment, fixture) });
  t.equal((await fixture.kubectl(GET_PODS_ARGS)).status, 0, 'kubectl has discovered the cluster');
  await revokeToken(environment.http, readOnlyToken(fixture).token);
  const before = summarizeRequests(fixture).length;
  const statuses: (number | null)[] = [];
  for (let command = 0; command < 4; command += 1) statuses.push((await fixture.kubectl(GET_PODS_ARGS)).status);
  const failed = statuses.filter((status) => status !== 0).length;
  t.ok(failed <= 1, `${failed} commands failed`);
  t.strictSame(statuses.slice(1), [0, 0, 0], 'all later commands succeed');
  t.strictSame(summarizeRequests(fixture).slice(before), ['HEAD 401', LOGIN], 'one validation and one login');
  t.comment(
    `revoked token: ${failed} failed command, then all succeed; ${summarizeRequests(fixture).slice(before).join(', ')}`,
  );
});

/** Counts the requests from index `from` on. */
function countRequests(fixture: KubectlFixture, from: number): { heads: number; posts: number } {
  const requests = fixture.listKeystoneRequests().slice(from);
  const count = (method: string): number => requests.filter((request) => request.method === method).length;
  return { heads: count('HEAD'), posts: count('POST') };
}

testWithKubectl('a cluster that rejects all tokens causes no further login', async (t, environment, program) => {
  const fixture = await setUpKubectl(t, environment, { program, authenticate: () => Promise.resolve(undefined) });
  const { command, runs } = makeRecordingPlugin(fixture);
  await fixture.writeKubeconfig({ command, env: makeAliceSettings(environment, fixture) });
  const commands = [
    { args: GET_PODS_ARGS },
    { args: ['get', 'pods,configmaps,namespaces'] },
    { args: APPLY_ARGS, input: CONFIG_MAP_MANIFEST },
    { args: ['get', '--raw', '/version'] },
    { args: ['auth', 'whoami'] },
    { args: ['version'] },
  ];
  const count = pickSize(20, 6);
  let heads = 0;
  for (let index = 0; index < count; index += 1) {
    const { args, input = '' } = commands[index % commands.length] ?? { args: GET_PODS_ARGS };
    const from = fixture.listKeystoneRequests().length;
    t.not((await fixture.kubectl(args, { input })).status, 0, 'it fails');
    const counts = countRequests(fixture, from);
    t.equal(counts.posts, index === 0 ? 1 : 0, `${args.join(' ')}: no further login`);
    t.ok(counts.heads <= 1, `${args.join(' ')}: ${counts.heads} validations of the token`);
    heads += counts.heads;
  }
  t.equal(fixture.countLogins(), 1);
  t.comment(`always 401, ${count} commands: ${runs().length} runs, 0 extra logins, ${heads} HEAD`);
});

testWithKubectl(
  'if Keystone is down when the cluster rejects a token, the token is still returned',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program, authenticate: () => Promise.resolve(undefined) });
    const { command, runs } = makeRecordingPlugin(fixture);
    const proxy = await startForwarder(t, fixture.keystoneUrl);
    await fixture.writeKubeconfig({
      command,
      env: makeAliceSettings(environment, fixture, { OS_AUTH_URL: proxy.url }),
    });
    await fixture.kubectl(GET_PODS_ARGS);
    const { token } = readOnlyToken(fixture);
    await proxy.close();
    const before = runs().length;
    const result = await fixture.kubectl(GET_PODS_ARGS);
    t.ok(runs().length > before + 1, 'one kubectl command ran the plugin more than once');
    t.notMatch(result.stderr, 'client-keystone-auth', 'the plugin prints no error');
    t.notMatch(result.stderr, 'getting credentials', 'kubectl received a token each time');
    t.equal(readOnlyToken(fixture).token, token, 'it is still the same token');
    t.equal(fixture.countLogins(), 1);
  },
  ['new'],
);

/** Starts a proxy in front of Keystone, which can be closed. */
async function startForwarder(t: Test, target: string): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const forward = async (): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const headers: Record<string, string> = { 'content-type': 'application/json' };
      for (const name of ['x-auth-token', 'x-subject-token']) {
        const value = request.headers[name];
        if (typeof value === 'string') headers[name] = value;
      }
      const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) };
      const upstream = await fetch(target.replace(/\/v3$/, '') + (request.url ?? ''), {
        method: request.method ?? 'GET',
        headers,
        ...body,
      });
      response.writeHead(upstream.status, {
        'content-type': 'application/json',
        'x-subject-token': upstream.headers.get('x-subject-token') ?? '',
      });
      response.end(await upstream.text());
    };
    forward().catch(() => response.destroy());
  });
  // No other test gets the port while this one finds nothing there.
  const port = await listenOnLoopback(server, await findFreePort());
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  };
  t.teardown(close);
  return { url: `http://127.0.0.1:${port}/v3`, close };
}

testWithKubectl(
  'runs from a shell loop do not ask Keystone about the token',
  async (t, environment, program) => {
    const fixture = await setUpKubectl(t, environment, { program });
    const env = makeAliceSettings(environment, fixture);
    const { home } = fixture;
    const shellRuns = [];
    for (let run = 0; run < 6; run += 1) shellRuns.push(await runPlugin({ home, env }));
    t.ok(shellRuns.every(({ status, stderr }) => status === 0 && stderr === ''));
    t.strictSame(
      summarizeRequests(fixture),
      [LOGIN],
      '6 runs without kubectl from one parent: 1 login and no other request',
    );

    // The same parent in the role of kubectl: the first run is a hit, the second asks Keystone, the others are hits.
    const asKubectl = { ...env, KUBERNETES_EXEC_INFO: makeExecInfo() };
    for (let run = 0; run < 5; run += 1) t.equal((await runPlugin({ home, env: asKubectl })).status, 0);
    t.strictSame(summarizeRequests(fixture), [LOGIN, 'HEAD 200'], '5 runs as kubectl: 1 HEAD');
    writeFileSync(join(home.cache, 'handed-out'), 'nonsense');
    t.equal((await runPlugin({ home, env: asKubectl })).status, 0, 'an invalid handed-out file does no harm');
    t.notMatch(
      readFileSync(join(home.cache, 'handed-out'), 'latin1'),
      readOnlyToken(fixture).token,
      'the file contains no token',
    );
  },
  ['new'],
);
