/**
 * Two hundred jobs of a pipeline start in parallel, and the token has just expired. One of them logs in and the others
 * wait; if the first one dies or hangs, the others still get a token. A proxy in front of a real Keystone counts the
 * logins.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { checkNoProblems, formatSeconds, pickSize, startProgram, parseToken } from '../support/stress.ts';
import type { TimedRun } from '../support/stress.ts';
import { silence } from '../support/stand-in-faults.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeIsolatedCommand, PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeExecInfo, makeEnvironment, makeHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { startCountingProxy } from '../support/proxy.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import type { LoginSettings } from '../support/login-settings.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { openTerminal } from '../support/terminal.ts';
import { validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(pickSize(900_000, 170_000));

const plugin = (env: LoginSettings, ...args: string[]) => startProgram([...PLUGIN_COMMAND, ...args], env);

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

/** Lists the problems of runs that must all print the same document and nothing else. */
function listProblems(runs: readonly TimedRun[]): string[] {
  const documents = new Set(runs.map(({ stdout }) => stdout));
  return [
    ...runs.flatMap(({ status, stderr }) =>
      status === 0 && stderr === '' ? [] : [`status ${String(status)}: ${stderr}`],
    ),
    ...runs.flatMap(({ stdout }) => (parseToken(stdout) === undefined ? [`stdout: ${stdout}`] : [])),
    ...(documents.size === 1 ? [] : [`${documents.size} different documents`]),
  ];
}

testWithKeystone('parallel runs cause one login', async (t, environment) => {
  const { tenancy, pki } = environment;
  const size = pickSize(200, 60);
  const proxy = await startCountingProxy({ ...pki.server, target: environment.http.url });
  t.teardown(() => proxy.close());
  const home = setUpHome(t);
  const env = makeEnvironment(home, {
    OS_AUTH_URL: `${proxy.url}/v3`,
    OS_CACERT: pki.ca,
    ...asUser(tenancy.users.alice, tenancy.domain),
    ...onProject(tenancy.projects.demo, tenancy.domain),
    KUBERNETES_EXEC_INFO: makeExecInfo(),
  });

  const runInParallel = async (what: string): Promise<string | undefined> => {
    proxy.reset();
    const startedAt = performance.now();
    const runs = await Promise.all(Array.from({ length: size }, () => plugin(env).ended));
    const durationMs = performance.now() - startedAt;
    const figure = `${size} plugins, ${what}: ${proxy.countLogins()} login, ${formatSeconds(durationMs)}`;
    t.equal(proxy.countLogins(), 1, figure);
    t.ok(durationMs <= 20_000, figure);
    checkNoProblems(t, listProblems(runs), figure);
    return parseToken(runs[0]?.stdout ?? '');
  };

  const first = await runInParallel('empty cache');
  t.equal(
    (await validateToken(environment.http, first ?? ''))?.user.name,
    tenancy.users.alice.name,
    'Keystone accepts the token',
  );

  // A token of the real Keystone is valid for an hour, so the test changes the record.
  const { serializeRecord, parseRecord } = await import('../../src/plugin/cache/token-record.ts');
  const { readPrivateFile, writePrivateFile } = await import('../../src/plugin/cache/private-file.ts');
  const name = readdirSync(home.cache).find((file) => file.endsWith('.token')) ?? '';
  const key = name.replace('.token', '');
  const record = parseRecord(key, readPrivateFile(join(home.cache, name), process.geteuid?.()));
  if (record === undefined) throw new Error('no record');
  writePrivateFile(
    home.cache,
    name,
    serializeRecord(key, { ...record, expiresAt: Date.now() + 1_000 }),
    Date.now() + 1_000,
  );
  const second = await runInParallel('expired record');
  t.not(second, first, 'a new token');
});

/** Starts a run that never gets a response to its login, and waits until it has sent the request. */
async function startHangingRun(standIn: StandInKeystone, env: LoginSettings): Promise<ReturnType<typeof plugin>> {
  const before = standIn.countLogins();
  standIn.answerNext(silence(), 'POST /v3/auth/tokens');
  const holder = plugin(env);
  while (standIn.countLogins() === before) await sleep(5);
  return holder;
}

await t.test('if the run with the lock is killed, another run logs in', async (t) => {
  const rounds = pickSize(20, 2);
  const count = pickSize(50, 15);
  const standIn = await startKeystoneForTest(t);
  const problems: string[] = [];
  let maxPause = 0;
  let maxTotal = 0;
  for (let round = 1; round <= rounds; round += 1) {
    const home = setUpHome(t);
    const env = makeEnvironment(home, {
      ...makeLoginSettings(`${standIn.url}/v3`),
      KUBERNETES_EXEC_INFO: makeExecInfo(),
    });
    const holder = await startHangingRun(standIn, env);
    const before = standIn.countLogins();
    let requestedAt: number | undefined;
    standIn.answerNext(async (_request, response, { makeDefaultResponse }) => {
      requestedAt = performance.now();
      // Similar to a real Keystone.
      await sleep(200);
      const { status, headers, body } = makeDefaultResponse();
      response.writeHead(status, headers).end(JSON.stringify(body));
    }, 'POST /v3/auth/tokens');
    const waiters = Array.from({ length: count }, () => plugin(env));
    await sleep(count * 60 + 1_000);
    t.equal(standIn.countLogins(), before, 'all other runs wait');
    process.kill(-holder.pid, 'SIGKILL');
    const killedAt = performance.now();
    const runs = await Promise.all(waiters.map(({ ended }) => ended));
    const totalMs = performance.now() - killedAt;
    const pause = (requestedAt ?? Infinity) - killedAt;
    maxPause = Math.max(maxPause, pause);
    maxTotal = Math.max(maxTotal, totalMs);
    if (standIn.countLogins() !== before + 1) problems.push(`round ${round}: ${standIn.countLogins() - before} logins`);
    problems.push(...listProblems(runs).map((problem) => `round ${round}: ${problem}`));
    if (totalMs > 2_000 + 200) problems.push(`round ${round}: all done only after ${formatSeconds(totalMs)}`);
    home.remove();
  }
  checkNoProblems(
    t,
    problems,
    `${rounds} rounds, ${count} waiters: 1 further login each, requested ${formatSeconds(maxPause)} after the kill, all done ` +
      `after ${formatSeconds(maxTotal)}`,
  );
});

await t.test('if the run with the lock hangs, the others continue without the lock', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const home = setUpHome(t);
  const env = makeEnvironment(home, makeLoginSettings(`${standIn.url}/v3`));
  const holder = await startHangingRun(standIn, env);
  process.kill(holder.pid, 'SIGSTOP');
  const before = standIn.countLogins();
  const runs = await Promise.all(Array.from({ length: 5 }, () => plugin(env, '--timeout', '3').ended));
  process.kill(-holder.pid, 'SIGKILL');
  const slowest = Math.max(...runs.map(({ ms }) => ms));
  const figure = `a stopped run with the lock: 5 runs with --timeout 3 done after ${formatSeconds(slowest)}, ${standIn.countLogins() - before} logins`;
  t.ok(slowest > 3_000, 'they wait');
  // The deadline of 3 s plus 1 s of slack, and the time for the start and the login.
  t.ok(slowest < 4_000 + pickSize(1_500, 4_000), figure);
  t.strictSame(
    runs.map(({ status, stderr }) => [status, stderr]),
    runs.map(() => [0, '']),
    figure,
  );
  t.comment(figure);
});

await t.test('a run with another identity does not wait', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const home = setUpHome(t);
  const envOf = (project: string) =>
    makeEnvironment(home, { ...makeLoginSettings(`${standIn.url}/v3`), OS_PROJECT_NAME: project });
  const holder = await startHangingRun(standIn, envOf('web'));
  const locks = (): string[] => readdirSync(home.cache).filter((file) => file.endsWith('.lock'));
  t.equal(locks().length, 1, 'one lock file exists');
  const other = await plugin(envOf('db')).ended;
  process.kill(-holder.pid, 'SIGKILL');
  // The cache key contains the random port, so sometimes both identities have the same lock file.
  if (locks().length === 1) {
    t.comment('both identities share a lock file this time');
    return;
  }
  t.equal(other.status, 0, other.stderr);
  t.ok(other.ms < 3_000, `another identity: ${formatSeconds(other.ms)}`);
});

await t.test('a long wait is reported on a terminal only', async (t) => {
  const standIn = await startKeystoneForTest(t);
  const home = setUpHome(t);
  const env = makeEnvironment(home, makeLoginSettings(`${standIn.url}/v3`));
  const holder = await startHangingRun(standIn, env);
  const piped = plugin(env, '--timeout', '20');
  const [file, args, options] = makeIsolatedCommand(
    PLUGIN_COMMAND[0],
    [...PLUGIN_COMMAND.slice(1), '--timeout', '20'],
    env,
  );
  const startedAt = performance.now();
  const terminal = openTerminal({ file, args, env: options.env });
  t.teardown(() => terminal.close());
  await terminal.waitFor('waiting for another login');
  const reportedAfterMs = performance.now() - startedAt;
  t.ok(reportedAfterMs > 1_000, `reported after ${formatSeconds(reportedAfterMs)}`);
  process.kill(-holder.pid, 'SIGKILL');
  await terminal.waitFor('"token":"');
  t.equal((await terminal.ended).exitCode, 0);
  t.notMatch(terminal.screen(), /waiting[^]*waiting/, 'reported once');
  const result = await piped.ended;
  t.equal(result.status, 0);
  t.equal(result.stderr, '', 'not reported in a pipe');
});
