// What one impatient user does to Keystone through kubectl: a hundred commands at once, a wrong password, a revoked token,
// a cluster that lets nobody in. Too many questions lock accounts, too few leave the user with a dead token; and only a
// real kubectl shows how often it asks the plugin.

import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { readRecordFile, writeRecordFile } from '../../src/plugin/cache/file-store.ts';
import { formatSeconds, pickSize } from '../support/stress.ts';
import {
  POD_LINE,
  APPLY_ARGS,
  GET_PODS_ARGS,
  makeRecordingPlugin,
  CONFIG_MAP_MANIFEST,
  makeAliceSettings,
  setUpKubectl,
  testWithKubectl,
} from '../support/kubectl-fixture.ts';
import type { KubectlFixture } from '../support/kubectl-fixture.ts';
import { makeExecInfo, PLUGIN_PATH, runPlugin } from '../support/run-plugin.ts';
import { revokeToken, validateToken } from '../support/tenancy.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

/** What an access log says of one run after another. */
const questions = (desk: KubectlFixture): string[] =>
  desk.listKeystoneRequests().map(({ method, status }) => `${method} ${status}`);

const GRANTED = 'POST 201';

/** The one token of the cache. */
function keptToken(desk: KubectlFixture): { key: string; token: string } {
  const names = readdirSync(desk.home.cache).filter((name) => name.endsWith('.token'));
  const key = (names[0] ?? '').replace('.token', '');
  const record = readRecordFile({ path: desk.home.cache, uid: process.geteuid?.() }, key);
  if (names.length !== 1 || record === undefined) throw new Error(`not one token is kept: ${names.join(', ')}`);
  return { key, token: record.token };
}

/** Lets the token of the cache be one of yesterday. */
function expire(desk: KubectlFixture): void {
  const folder = { path: desk.home.cache, uid: process.geteuid?.() };
  const { key } = keptToken(desk);
  const record = readRecordFile(folder, key);
  if (record === undefined) throw new Error('nothing to expire');
  const day = 86_400_000;
  writeRecordFile(folder, key, {
    ...record,
    receivedAt: record.receivedAt - day,
    expiresAt: record.expiresAt - day,
  });
}

/** Asks Keystone about each token each time, as an API server without a cache would. */
const strict =
  (world: TestEnvironment) =>
  async (token: string): Promise<string | undefined> =>
    (await validateToken(world.http, token))?.user.name;

testWithKubectl(
  'many kubectl at once with an expired token',
  async (t, world, program) => {
    const desk = await setUpKubectl(t, world, { program });
    await desk.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(world, desk) });
    t.match(await desk.kubectl(GET_PODS_ARGS), { status: 0, stdout: POD_LINE, stderr: '' });
    expire(desk);
    const before = desk.countLogins();
    const count = pickSize(100, 25);
    const startedAt = performance.now();
    const runs = await Promise.all(Array.from({ length: count }, () => desk.kubectl(GET_PODS_ARGS)));
    const took = formatSeconds(performance.now() - startedAt);
    const failed = runs.filter(({ status, stdout }) => status !== 0 || !POD_LINE.test(stdout));
    t.strictSame(failed, [], `${count} kubectl at once, expired token: ${failed.length} failed, in ${took}`);
    t.strictSame(
      runs.filter(({ stderr }) => stderr !== ''),
      [],
      'nobody complains',
    );
    t.equal(desk.countLogins() - before, 1, `${count} kubectl at once, expired token: 1 login`);
    t.strictSame(questions(desk), [GRANTED, GRANTED], 'and nothing else was asked');
    t.comment(`${count} kubectl at once with an expired token: 1 login, all exit 0, ${took}`);
  },
  ['new'],
);

testWithKubectl('a wrong password, then the right one', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  const { command, runs } = makeRecordingPlugin(desk);
  const config = { command, provideClusterInfo: true };
  await desk.writeKubeconfig({ ...config, env: makeAliceSettings(world, desk, { OS_PASSWORD: 'canary-wrong' }) });
  t.not((await desk.kubectl(GET_PODS_ARGS)).status, 0);
  t.strictSame(questions(desk), ['POST 401'], `wrong password, ${runs().length} runs of the plugin: 1 request`);
  t.comment(`wrong password, one cold get pods: ${runs().length} runs of the plugin, 1 request`);
  await desk.writeKubeconfig({ ...config, env: makeAliceSettings(world, desk) });
  t.match(
    await desk.kubectl(GET_PODS_ARGS),
    { status: 0, stdout: POD_LINE, stderr: '' },
    'corrected, it works at once',
  );
  t.strictSame(questions(desk), ['POST 401', GRANTED]);
});

testWithKubectl('a wrong password in the environment of one shell', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  await desk.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(world, desk, { OS_PASSWORD: undefined }) });
  const { alice } = world.tenancy.users;
  // Two commands of one terminal: the second knows what the first was told.
  const script = `"$@" get pods; "$@" get pods; OS_PASSWORD=$RIGHT "$@" get pods`;
  const terminal = desk.openShell(script, { env: { OS_PASSWORD: 'canary-wrong', RIGHT: alice.password } });
  await terminal.waitFor(POD_LINE, 30_000);
  t.equal((await terminal.ended).exitCode, 0, 'the right password works at once');
  t.strictSame(questions(desk), ['POST 401', GRANTED], 'two commands with a wrong password: 1 request');
});

testWithKubectl('a wrong password, typed', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  const { command, runs } = makeRecordingPlugin(desk);
  await desk.writeKubeconfig({ command, env: makeAliceSettings(world, desk, { OS_PASSWORD: undefined }) });
  const { alice } = world.tenancy.users;
  const wrong = desk.kubectlOnTerminal(GET_PODS_ARGS);
  await wrong.waitFor('Password');
  wrong.type('canary-wrong\r');
  t.not((await wrong.ended).exitCode, 0);
  const prompts = wrong.screen().match(/Password at \S+ *:/g) ?? wrong.screen().match(/Password/g) ?? [];
  t.strictSame(questions(desk), ['POST 401'], `typed wrong: ${runs().length} runs, 1 request`);
  t.equal((wrong.screen().match(/refused the login/g) ?? []).length, 1, 'said once in full');
  t.comment(`wrong password typed: ${runs().length} runs, ${new Set(prompts).size} prompt, 1 request`);
  // A prompt is drawn anew for each key; a second question would stand below the first one's refusal.
  const afterwards = wrong.screen().slice(wrong.screen().indexOf('refused the login'));
  t.notMatch(afterwards, 'Password at', 'no second prompt');

  const right = desk.kubectlOnTerminal(GET_PODS_ARGS);
  await right.waitFor('Password');
  right.type(`${alice.password}\r`);
  await right.waitFor(POD_LINE);
  t.equal((await right.ended).exitCode, 0, 'the next command asks again and gets in');
  t.strictSame(questions(desk), ['POST 401', GRANTED]);
});

testWithKubectl('a prompt that is cancelled is not repeated', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program });
  await desk.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(world, desk, { OS_PASSWORD: undefined }) });
  const terminal = desk.kubectlOnTerminal(GET_PODS_ARGS);
  await terminal.waitFor('Password');
  terminal.type('\x04');
  t.not((await terminal.ended).exitCode, 0);
  t.strictSame(questions(desk), [], terminal.screen());
});

testWithKubectl('a revoked token', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program, authenticate: strict(world) });
  await desk.writeKubeconfig({ command: PLUGIN_PATH, env: makeAliceSettings(world, desk) });
  t.equal((await desk.kubectl(GET_PODS_ARGS)).status, 0, 'kubectl knows the cluster now');
  await revokeToken(world.http, keptToken(desk).token);
  const before = questions(desk).length;
  const statuses: (number | null)[] = [];
  for (let command = 0; command < 4; command += 1) statuses.push((await desk.kubectl(GET_PODS_ARGS)).status);
  const failed = statuses.filter((status) => status !== 0).length;
  t.ok(failed <= 1, `${failed} commands failed`);
  t.strictSame(statuses.slice(1), [0, 0, 0], 'from the second on all pass');
  t.strictSame(questions(desk).slice(before), ['HEAD 401', GRANTED], 'one question and one login');
  t.comment(`revoked token: ${failed} failed command, then all pass; ${questions(desk).slice(before).join(', ')}`);
});

/** `METHOD` and how often, of the requests since `from`. */
function tally(desk: KubectlFixture, from: number): { heads: number; posts: number } {
  const since = desk.listKeystoneRequests().slice(from);
  const count = (method: string): number => since.filter((request) => request.method === method).length;
  return { heads: count('HEAD'), posts: count('POST') };
}

testWithKubectl('a cluster that lets nobody in', async (t, world, program) => {
  const desk = await setUpKubectl(t, world, { program, authenticate: () => Promise.resolve(undefined) });
  const { command, runs } = makeRecordingPlugin(desk);
  await desk.writeKubeconfig({ command, env: makeAliceSettings(world, desk) });
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
    const from = desk.listKeystoneRequests().length;
    t.not((await desk.kubectl(args, { input })).status, 0, 'it fails');
    const asked = tally(desk, from);
    t.equal(asked.posts, index === 0 ? 1 : 0, `${args.join(' ')}: no further login`);
    t.ok(asked.heads <= 1, `${args.join(' ')}: asked ${asked.heads} times whether the token lives`);
    heads += asked.heads;
  }
  t.equal(desk.countLogins(), 1);
  t.comment(`always 401, ${count} commands: ${runs().length} runs, 0 extra logins, ${heads} HEAD`);
});

testWithKubectl(
  'Keystone is down when the cluster refuses',
  async (t, world, program) => {
    const desk = await setUpKubectl(t, world, { program, authenticate: () => Promise.resolve(undefined) });
    const { command, runs } = makeRecordingPlugin(desk);
    const proxy = await passThrough(t, desk.keystoneUrl);
    await desk.writeKubeconfig({ command, env: makeAliceSettings(world, desk, { OS_AUTH_URL: proxy.url }) });
    await desk.kubectl(GET_PODS_ARGS);
    const { token } = keptToken(desk);
    await proxy.close();
    const before = runs().length;
    const ran = await desk.kubectl(GET_PODS_ARGS);
    t.ok(runs().length > before + 1, 'one kubectl asked more than once');
    t.notMatch(ran.stderr, 'client-keystone-auth', 'no error of ours');
    t.notMatch(ran.stderr, 'getting credentials', 'kubectl got its token each time');
    t.equal(keptToken(desk).token, token, 'which is still the same');
    t.equal(desk.countLogins(), 1);
  },
  ['new'],
);

/** Another address of Keystone, which can be closed. */
async function passThrough(t: Test, target: string): Promise<{ url: string; close: () => Promise<void> }> {
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
      const answer = await fetch(target.replace(/\/v3$/, '') + (request.url ?? ''), {
        method: request.method ?? 'GET',
        headers,
        ...body,
      });
      response.writeHead(answer.status, {
        'content-type': 'application/json',
        'x-subject-token': answer.headers.get('x-subject-token') ?? '',
      });
      response.end(await answer.text());
    };
    forward().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.closeAllConnections();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  };
  t.teardown(close);
  return { url: `http://127.0.0.1:${port}/v3`, close };
}

testWithKubectl(
  'a shell loop is no kubectl',
  async (t, world, program) => {
    const desk = await setUpKubectl(t, world, { program });
    const env = makeAliceSettings(world, desk);
    const { home } = desk;
    const byHand = [];
    for (let run = 0; run < 6; run += 1) byHand.push(await runPlugin({ home, env }));
    t.ok(byHand.every(({ status, stderr }) => status === 0 && stderr === ''));
    t.strictSame(questions(desk), [GRANTED], '6 runs by hand from one parent: 1 login and no other question');

    // The same parent as kubectl would be: the first is a hit, the second a question, and then there is quiet.
    const asKubectl = { ...env, KUBERNETES_EXEC_INFO: makeExecInfo() };
    for (let run = 0; run < 5; run += 1) t.equal((await runPlugin({ home, env: asKubectl })).status, 0);
    t.strictSame(questions(desk), [GRANTED, 'HEAD 200'], 'the same five times as kubectl: 1 HEAD');
    writeFileSync(join(home.cache, 'handed-out'), 'nonsense');
    t.equal((await runPlugin({ home, env: asKubectl })).status, 0, 'a note that is none is no matter');
    t.notMatch(readFileSync(join(home.cache, 'handed-out'), 'latin1'), keptToken(desk).token, 'no token is in it');
  },
  ['new'],
);
