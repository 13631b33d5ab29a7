/**
 * Two hundred jobs of a pipeline start in parallel, and the token has just expired. One of them logs in and the others
 * wait; if the first one dies or hangs, the others still get a token. A proxy in front of a real Keystone counts the
 * logins.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as endOfTurn, setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { findFreePort } from '../../scripts/lib/free-port.ts';
import { checkNoProblems, PATIENT, pickSize, startProgram, parseToken } from '../support/stress.ts';
import { countExchanges } from '../support/count-exchanges.ts';
import { makeKeyFile } from '../support/issuer.ts';
import { AUDIENCE, makeIssuerCommandLine } from '../support/issuer-settings.ts';
import { startHangingRun, waitUntilAtLock } from '../support/lock-waiters.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeIsolatedCommand, PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeExecInfo, makeEnvironment, makeHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { startCountingProxy } from '../support/proxy.ts';
import type { CountingProxy } from '../support/proxy.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import type { LoginSettings } from '../support/login-settings.ts';
import { makeExchangeSettings } from '../support/stand-in-exchange.ts';
import { openTerminal } from '../support/terminal.ts';
import { validateToken } from '../support/tenancy.ts';
import { prepareTimeJump, UNTIL_JUMP } from '../support/time-jump.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';
import { startServerProcess } from '../support/webhook-process.ts';
import { waitUntil } from '../support/wait-until.ts';

const plugin = (env: LoginSettings, ...args: string[]) => startProgram([...PLUGIN_COMMAND, ...args], env);

/** Starts the plugin as another kubectl: with a parent of its own. The same parent would ask again because of a rejection. */
const startAsKubectl = (env: LoginSettings, ...args: string[]) =>
  startProgram(['/bin/sh', '-c', '"$0" "$@"; exit "$?"', ...PLUGIN_COMMAND, ...args], env);

/** Runs plugins at the same time. The proxy is in this process, and must answer while they start. */
async function runHerd(size: number, env: LoginSettings): Promise<RunResult[]> {
  const ends: Promise<RunResult>[] = [];
  for (let count = 0; count < size; count += 1) {
    ends.push(startAsKubectl(env, ...PATIENT).ended);
    await endOfTurn();
  }
  return Promise.all(ends);
}

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

/** Lists the problems of runs that must all print the same document and nothing else. */
function listProblems(runs: readonly RunResult[]): string[] {
  const documents = new Set(runs.map(({ stdout }) => stdout));
  return [
    ...runs.flatMap(({ status, stderr }) =>
      status === 0 && stderr === '' ? [] : [`status ${String(status)}: ${stderr}`],
    ),
    ...runs.flatMap(({ stdout }) => (parseToken(stdout) === undefined ? [`stdout: ${stdout}`] : [])),
    ...(documents.size === 1 ? [] : [`${documents.size} different documents`]),
  ];
}

/** Sets up alice on demo behind a proxy that counts her logins; `more` are further settings. */
async function setUpHerd(
  t: Test,
  { tenancy, pki, http }: TestEnvironment,
  more: LoginSettings = {},
): Promise<{ home: Home; proxy: CountingProxy; env: LoginSettings }> {
  const proxy = await startCountingProxy({ ...pki.server, target: http.url });
  t.teardown(() => proxy.close());
  const home = setUpHome(t);
  const env = makeEnvironment(home, {
    OS_AUTH_URL: `${proxy.url}/v3`,
    OS_CACERT: pki.ca,
    ...asUser(tenancy.users.alice, tenancy.domain),
    ...onProject(tenancy.projects.demo, tenancy.domain),
    ...more,
    KUBERNETES_EXEC_INFO: makeExecInfo(),
  });
  return { home, proxy, env };
}

testWithKeystone('parallel runs cause one login', async (t, environment) => {
  const size = pickSize(200, 30);
  const { home, proxy, env } = await setUpHerd(t, environment);

  const runInParallel = async (what: string): Promise<string | undefined> => {
    proxy.reset();
    const runs = await runHerd(size, env);
    const figure = `${size} plugins, ${what}: ${proxy.countLogins()} login`;
    t.equal(proxy.countLogins(), 1, figure);
    checkNoProblems(t, listProblems(runs), figure);
    return parseToken(runs[0]?.stdout ?? '');
  };

  const first = await runInParallel('empty cache');
  t.equal(
    (await validateToken(environment.http, first ?? ''))?.user.name,
    environment.tenancy.users.alice.name,
    'Keystone accepts the token',
  );

  // A token of the real Keystone is valid for an hour, so the test moves the record back until it has just expired. To
  // bring only its end forward is not enough: the shorter the lifetime, the longer a token may be used.
  const { serializeRecord, parseRecord } = await import('../../src/plugin/cache/token-record.ts');
  const { readPrivateFile, writePrivateFile } = await import('../../src/plugin/cache/private-file.ts');
  const name = readdirSync(home.cache).find((file) => file.endsWith('.token')) ?? '';
  const key = name.replace('.token', '');
  const record = parseRecord(key, readPrivateFile(join(home.cache, name), process.geteuid?.()));
  if (record === undefined) throw new Error('no record');
  const age = record.expiresAt - Date.now();
  const expired = { ...record, receivedAt: record.receivedAt - age, expiresAt: record.expiresAt - age };
  writePrivateFile(home.cache, name, serializeRecord(key, expired), record.expiresAt);
  const second = await runInParallel('expired record');
  t.not(second, first, 'a new token');
});

testWithKeystone('parallel runs with a token exchange cause one login and one exchange', async (t, environment) => {
  const { pki } = environment;
  const size = pickSize(200, 15);
  const port = await findFreePort();
  const url = `https://127.0.0.1:${port}`;
  // Keystone may be slow on a busy machine.
  const args = ['--keystone-timeout', '30'];
  const settings = { keystone: environment.http, keyFile: await makeKeyFile(t), url, port, pki, args };
  const issuer = await startServerProcess(t, await makeIssuerCommandLine(t, settings));
  const { proxy, env } = await setUpHerd(t, environment, makeExchangeSettings({ url }, AUDIENCE));
  const runs = await runHerd(size, env);
  const exchanges = await countExchanges(issuer);
  const figure = `${size} plugins: ${proxy.countLogins()} login, ${exchanges} exchange`;
  t.same([proxy.countLogins(), exchanges], [1, 1], figure);
  checkNoProblems(t, listProblems(runs), figure);
});

const notLinux = process.platform !== 'linux' && 'only Linux shows the open files of a process';

await t.test('if the run with the lock is killed, another run logs in', { skip: notLinux }, async (t) => {
  const rounds = pickSize(20, 2);
  const count = pickSize(50, 8);
  const standIn = await startKeystoneForTest(t);
  const problems: string[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const home = setUpHome(t);
    const env = makeEnvironment(home, {
      ...makeLoginSettings(`${standIn.url}/v3`),
      KUBERNETES_EXEC_INFO: makeExecInfo(),
    });
    const holder = await startHangingRun(standIn, env);
    const before = standIn.countLogins();
    standIn.answerNext(async (_request, response, { makeDefaultResponse }) => {
      // Similar to a real Keystone: the other runs must not log in meanwhile.
      await sleep(200);
      const { status, headers, body } = makeDefaultResponse();
      response.writeHead(status, headers).end(JSON.stringify(body));
    }, 'POST /v3/auth/tokens');
    const waiters = Array.from({ length: count }, () => plugin(env, ...PATIENT));
    await Promise.all(waiters.map(waitUntilAtLock));
    t.equal(standIn.countLogins(), before, 'all other runs wait');
    process.kill(-holder.pid, 'SIGKILL');
    const runs = await Promise.all(waiters.map(({ ended }) => ended));
    if (standIn.countLogins() !== before + 1) problems.push(`round ${round}: ${standIn.countLogins() - before} logins`);
    problems.push(...listProblems(runs).map((problem) => `round ${round}: ${problem}`));
    home.remove();
  }
  checkNoProblems(t, problems, `${rounds} rounds, ${count} waiters: 1 further login each`);
});

await t.test('if the run with the lock hangs, the others continue without the lock', { skip: notLinux }, async (t) => {
  const standIn = await startKeystoneForTest(t);
  const home = setUpHome(t);
  const env = makeEnvironment(home, makeLoginSettings(`${standIn.url}/v3`));
  const holder = await startHangingRun(standIn, env);
  process.kill(holder.pid, 'SIGSTOP');
  const before = standIn.countLogins();
  const { settings, waitUntilPaused, jump } = prepareTimeJump(home);
  const waiters = Array.from({ length: 5 }, () => plugin({ ...env, ...settings }, '--timeout', UNTIL_JUMP));
  // A run opens the file of the lock before it reads the time that its wait begins.
  await Promise.all(waiters.map(waitUntilPaused));
  t.equal(standIn.countLogins(), before, 'they wait');
  jump();
  const runs = await Promise.all(waiters.map(({ ended }) => ended));
  process.kill(-holder.pid, 'SIGKILL');
  const figure = `a stopped run with the lock: 5 runs continue after their timeout, ${standIn.countLogins() - before} logins`;
  t.strictSame(
    runs.map(({ status, stderr }) => [status, stderr]),
    runs.map(() => [0, '']),
    figure,
  );
  t.comment(figure);
});

await t.test('a run with another identity does not wait', async (t) => {
  const { standIn, web, db } = await waitUntil('two identities with a lock each', async () => {
    const standIn = await startKeystoneForTest(t);
    const home = setUpHome(t);
    const settings = makeLoginSettings(`${standIn.url}/v3`);
    const web = makeEnvironment(home, { ...settings, OS_PROJECT_NAME: 'web' });
    const db = makeEnvironment(home, { ...settings, OS_PROJECT_NAME: 'db' });
    for (const env of [web, db]) await plugin(env, ...PATIENT).ended;
    // There are 256 locks, so two identities can have the same one. It depends on the address of the stand-in.
    return readdirSync(home.cache).filter((file) => file.endsWith('.lock')).length === 2 && { standIn, web, db };
  });
  const holder = await startHangingRun(standIn, web, [...PLUGIN_COMMAND, '--force-refresh']);
  const before = standIn.countLogins();
  // If it waited, it would wait for as long as the first run.
  const other = await plugin(db, '--force-refresh', ...PATIENT).ended;
  process.kill(-holder.pid, 'SIGKILL');
  t.equal(other.status, 0, other.stderr);
  t.equal(standIn.countLogins(), before + 1, 'it has logged in');
});

await t.test('a long wait is reported on a terminal only', { skip: notLinux }, async (t) => {
  const standIn = await startKeystoneForTest(t);
  const home = setUpHome(t);
  const env = makeEnvironment(home, makeLoginSettings(`${standIn.url}/v3`));
  const holder = await startHangingRun(standIn, env);
  const piped = plugin(env, ...PATIENT);
  // So that it waits at least as long as the run on the terminal.
  await waitUntilAtLock(piped);
  const [file, args, options] = makeIsolatedCommand(PLUGIN_COMMAND[0], [...PLUGIN_COMMAND.slice(1), ...PATIENT], env);
  const startedAt = performance.now();
  const terminal = openTerminal({ file, args, env: options.env });
  t.teardown(() => terminal.close());
  await terminal.waitFor('waiting for another login');
  const reportedAfterMs = performance.now() - startedAt;
  t.ok(reportedAfterMs > 1_000, `a short wait is not reported: ${Math.round(reportedAfterMs)} ms`);
  process.kill(-holder.pid, 'SIGKILL');
  await terminal.waitFor('"token":"');
  t.equal((await terminal.ended).exitCode, 0);
  t.notMatch(terminal.screen(), /waiting[^]*waiting/, 'reported once');
  const result = await piped.ended;
  t.equal(result.status, 0);
  t.equal(result.stderr, '', 'not reported in a pipe');
});
