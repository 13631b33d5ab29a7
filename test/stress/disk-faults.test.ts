/**
 * The disk can be full, read-only or broken, and the machine can die at any moment. The plugin must still return a
 * token, and must never use the files of an interrupted run or fail because of them. strace injects an error or a
 * signal into each system call that accesses the cache; a fake file system would not know these calls.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { prune } from '../../src/plugin/cache/prune.ts';
import { FULL_SIZE } from '../support/stress.ts';
import { canRun, checkNoProblems, formatSeconds, parseToken, pickSize, runInWorkers } from '../support/stress.ts';
import { skipWithout, startProgram } from '../support/stress.ts';
import type { TimedRun } from '../support/stress.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND, PLUGIN_PATH } from '../support/run-plugin.ts';
import { makeEnvironment, makeExecInfo, makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

t.setTimeout(pickSize(1_500_000, 170_000));

const ERRORS = ['ENOSPC', 'EROFS', 'EIO', 'EACCES'];
const WORKERS = Math.min(4, cpus().length + 1);
const noStrace = skipWithout('strace', () => canRun('strace', '-V'));

/** The content of the cache before a run. */
type Before = 'nothing' | 'an expired record' | 'a fresh record';
const SITUATIONS: readonly Before[] = ['nothing', 'an expired record', 'a fresh record'];

/** A system call of a run: the nth call with this name. */
interface Call {
  readonly name: string;
  readonly nth: number;
}

/** A call to inject a fault into, by its position in the calls of a situation. */
interface Case {
  readonly before: Before;
  readonly call: Call;
  readonly index: number;
}

interface DiskFaultFixture {
  readonly home: Home;
  readonly env: Readonly<Record<string, string>>;
  readonly calls: ReadonlyMap<Before, readonly Call[]>;
  prepare(before: Before): void;
  /** Runs the plugin under strace and returns its system calls; injected faults are marked. */
  runTraced(inject?: string): Promise<{ result: TimedRun; lines: readonly string[] }>;
}

/** Starts a stand-in that records the tokens that it issues. */
async function startRecordingStandIn(t: Test): Promise<{ standIn: StandInKeystone; issuedTokens: Set<string> }> {
  const standIn = await startKeystoneForTest(t);
  const issuedTokens = new Set<string>();
  standIn.answerAlways((_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    issuedTokens.add(headers['x-subject-token'] ?? '');
    response.writeHead(status, headers).end(JSON.stringify(body));
  }, 'POST /v3/auth/tokens');
  return { standIn, issuedTokens };
}

/** Waits until all files of a cache folder have expired; their modification times are the times of expiry. */
async function waitUntilExpired(folder: string): Promise<void> {
  const expiries = readdirSync(folder)
    .filter((name) => !name.endsWith('.lock'))
    .map((name) => statSync(join(folder, name)).mtimeMs);
  await setTimeout(Math.max(0, ...expiries.map((expiresAt) => expiresAt - Date.now())) + 100);
}

async function setUpDiskFaults(t: Test, standIn: StandInKeystone): Promise<DiskFaultFixture> {
  const home = makeHome();
  t.teardown(() => home.remove());
  const env = makeEnvironment(home, {
    ...makeLoginSettings(`${standIn.url}/v3`),
    KUBERNETES_EXEC_INFO: makeExecInfo(),
  });
  const templates = new Map<Before, string>();
  for (const before of SITUATIONS.slice(1)) {
    standIn.lifetimeSeconds = before === 'a fresh record' ? 3600 : 1;
    await runPlugin({ home, env });
    const template = join(home.path, before);
    templates.set(before, template);
    cpSync(home.cache, template, { recursive: true, preserveTimestamps: true });
    if (before === 'an expired record') await waitUntilExpired(template);
    rmSync(home.cache, { recursive: true });
  }
  standIn.lifetimeSeconds = 3600;
  const log = join(home.path, 'trace');

  const prepare = (before: Before): void => {
    rmSync(join(home.path, '.cache'), { recursive: true, force: true });
    const template = templates.get(before);
    if (template === undefined) return;
    mkdirSync(join(home.path, '.cache'), { mode: 0o700 });
    execFileSync('cp', ['-a', template, home.cache]);
  };
  const runTraced: DiskFaultFixture['runTraced'] = async (inject) => {
    const what = inject === undefined ? ['-e', 'trace=file,desc'] : ['-e', `inject=${inject}`];
    const name = inject?.split(':')[0];
    const filter = name === undefined ? [] : ['-e', `trace=${name}`];
    rmSync(log, { force: true });
    // Without -f, strace follows only the thread that accesses the cache.
    const result = await startProgram(['strace', '-qq', '-y', '-o', log, ...filter, ...what, ...PLUGIN_COMMAND], env)
      .ended;
    return { result, lines: existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [] };
  };
  const listCalls = async (before: Before): Promise<Call[]> => {
    prepare(before);
    const counts = new Map<string, number>();
    const calls: Call[] = [];
    for (const line of (await runTraced()).lines) {
      const [, name] = /^(\w+)\(/.exec(line) ?? [];
      if (name === undefined) continue;
      const nth = (counts.get(name) ?? 0) + 1;
      counts.set(name, nth);
      if (line.includes(home.cache)) calls.push({ name, nth });
    }
    return calls;
  };
  const calls = new Map<Before, Call[]>();
  for (const before of SITUATIONS) calls.set(before, await listCalls(before));
  return { home, env, calls, prepare, runTraced };
}

/** One after the other, because the fixtures share a stand-in and each sets its token lifetime. */
async function setUpDiskFaultsInTurn(t: Test, standIn: StandInKeystone): Promise<readonly DiskFaultFixture[]> {
  const fixtures: DiskFaultFixture[] = [];
  while (fixtures.length < WORKERS) fixtures.push(await setUpDiskFaults(t, standIn));
  return fixtures;
}

const isCacheAffected = (lines: readonly string[], { home }: DiskFaultFixture): boolean =>
  lines.some(
    (line, index) =>
      line.includes(home.cache) && (line.includes('(INJECTED)') || lines[index + 1]?.includes('killed by SIGKILL')),
  );

/** The result of a run with a fault. */
interface FaultResult {
  readonly what: string;
  readonly result: TimedRun;
  /** Whether the fault affected a call on the cache. */
  readonly isHit: boolean;
}

/**
 * Runs the plugin with a fault at a call, and repeats it at the neighboring calls until the fault affects the cache.
 * The number of calls that Node itself makes before varies, and a fault in Node is not a test of the cache. The last
 * run counts.
 */
async function injectFault(
  fixture: DiskFaultFixture,
  { before, call, index }: Case,
  fault: string,
): Promise<readonly FaultResult[]> {
  const at = fixture.calls.get(before)?.[index]?.nth ?? call.nth;
  const runs: FaultResult[] = [];
  for (const when of [at, at + 1, at - 1, at].filter((nth) => nth > 0)) {
    fixture.prepare(before);
    const { result, lines } = await fixture.runTraced(`${call.name}:${fault}:when=${when}`);
    const isHit = isCacheAffected(lines, fixture);
    runs.push({ what: `${call.name}#${when} ${fault} with ${before}`, result, isHit });
    if (isHit) break;
  }
  return runs;
}

/** Lists the problems of a run, which must return a token despite the fault. */
function listProblems({ status, stdout, stderr, ms }: TimedRun, issuedTokens: ReadonlySet<string>): string[] {
  const lines = stderr.split('\n').slice(0, -1);
  return [
    ...(status === 0 ? [] : [`status ${String(status)}: ${stderr}`]),
    ...(issuedTokens.has(parseToken(stdout) ?? '') ? [] : [`stdout: ${stdout.slice(0, 60)}`]),
    ...(lines.length <= 1 ? [] : [`${lines.length} lines: ${stderr}`]),
    ...(lines.every((line) => line.startsWith('client-keystone-auth: warning: ')) ? [] : [`stderr: ${stderr}`]),
    ...(ms < 10_000 ? [] : [`it took ${formatSeconds(ms)}`]),
  ];
}

await t.test('a failure of any system call on the cache costs at most one warning', { skip: noStrace }, async (t) => {
  const { standIn, issuedTokens } = await startRecordingStandIn(t);
  const fixtures = await setUpDiskFaultsInTurn(t, standIn);
  const [first] = fixtures;
  if (first === undefined) return;
  const all = SITUATIONS.flatMap((before) =>
    (first.calls.get(before) ?? []).flatMap((call, index) =>
      (FULL_SIZE ? ERRORS : [ERRORS[index % ERRORS.length]]).map((error) => ({ before, call, index, error })),
    ),
  );
  const cases = FULL_SIZE ? all : all.filter((_, index) => index % 2 === 0);
  const problems: string[] = [];
  let hits = 0;
  await runInWorkers(WORKERS, cases, async ({ error, ...one }, worker) => {
    const last = (await injectFault(fixtures[worker] ?? first, one, `error=${error ?? ''}`)).at(-1);
    if (last?.isHit !== true) return;
    hits += 1;
    problems.push(...listProblems(last.result, issuedTokens).map((problem) => `${last.what}: ${problem}`));
  });
  t.ok(hits > cases.length * 0.8, `${hits} of ${cases.length} faults hit the cache`);
  checkNoProblems(t, problems, `${hits} failing system calls on the cache: ${problems.length} problems`);
});

await t.test('failures of all later calls cost at most one warning', { skip: noStrace }, async (t) => {
  const { standIn, issuedTokens } = await startRecordingStandIn(t);
  const fixture = await setUpDiskFaults(t, standIn);
  const names = new Map<string, { before: Before; nth: number }>();
  for (const before of FULL_SIZE ? SITUATIONS : SITUATIONS.slice(0, 1)) {
    for (const { name, nth } of fixture.calls.get(before) ?? []) {
      // Node itself needs these calls.
      if (!/^(?:close|read|write|fcntl|fstat|statx|newfstatat|readlink)$/.test(name) && !names.has(`${before} ${name}`))
        names.set(`${before} ${name}`, { before, nth });
    }
  }
  const problems: string[] = [];
  for (const [key, { before, nth }] of names) {
    const name = key.split(' ').at(-1) ?? '';
    // If every later open failed, Node could not read its own files.
    if (name.startsWith('open')) continue;
    fixture.prepare(before);
    const { result } = await fixture.runTraced(`${name}:error=ENOSPC:when=${nth}+`);
    problems.push(...listProblems(result, issuedTokens).map((problem) => `${key}#${nth}+: ${problem}`));
  }
  checkNoProblems(
    t,
    problems,
    `${names.size} kinds of system calls that fail from a call on: ${problems.length} problems`,
  );
});

await t.test(
  'a run that is killed at any system call on the cache does not disturb the next run',
  { skip: noStrace },
  async (t) => {
    const { standIn, issuedTokens } = await startRecordingStandIn(t);
    const fixtures = await setUpDiskFaultsInTurn(t, standIn);
    const [first] = fixtures;
    if (first === undefined) return;
    const once = SITUATIONS.flatMap((before) =>
      (first.calls.get(before) ?? []).map((call, index) => ({ before, call, index })),
    );
    const cases = FULL_SIZE
      ? Array.from({ length: 10 }, () => once).flat()
      : once.filter((_, index) => index % 2 === 1);
    const problems: string[] = [];
    let killed = 0;
    let leftovers = 0;
    let slowest = 0;
    await runInWorkers(WORKERS, cases, async (one, worker) => {
      const fixture = fixtures[worker] ?? first;
      const runs = await injectFault(fixture, one, 'signal=KILL');
      for (const { what, result } of runs)
        if (result.signal !== 'SIGKILL' && result.status !== 0) problems.push(`${what}: ${result.stderr}`);
      const { what, isHit } = runs.at(-1) ?? { what: '', isHit: false };
      if (isHit) killed += 1;
      const next = await startProgram([...PLUGIN_COMMAND], fixture.env).ended;
      slowest = Math.max(slowest, next.ms);
      problems.push(...listProblems(next, issuedTokens).map((problem) => `after ${what}: ${problem}`));
      if (next.stderr !== '') problems.push(`after ${what}: ${next.stderr}`);
      if (next.ms > 3_000) problems.push(`after ${what}: stuck for ${formatSeconds(next.ms)}`);
      const temporary = (): string[] => readdirSync(fixture.home.cache).filter((file) => file.startsWith('.'));
      leftovers += temporary().length;
      prune(fixture.home.cache, Date.now() + 61_000);
      if (temporary().length > 0) problems.push(`after ${what}: ${temporary().join()}`);
    });
    t.ok(killed > cases.length * 0.8, `${killed} of ${cases.length} runs were killed at the cache`);
    checkNoProblems(
      t,
      problems,
      `${killed} kills: ${problems.length} problems, ${leftovers} leftovers pruned, slowest next run ${formatSeconds(slowest)}`,
    );
  },
);

const isRoot = process.geteuid?.() === 0;
const canMount = (folder: string): boolean =>
  isRoot && canRun('mount', '-t', 'tmpfs', '-o', 'size=16k', 'none', folder);

async function checkRunsWithHome(t: Test, what: string, homePath: string | undefined, prefix: readonly string[] = []) {
  const { standIn, issuedTokens } = await startRecordingStandIn(t);
  const env = makeEnvironment(
    { path: '/', cache: '', remove: () => undefined },
    { ...makeLoginSettings(standIn.url), HOME: homePath },
  );
  for (const turn of [1, 2]) {
    const result = await startProgram([...prefix, ...PLUGIN_COMMAND], env).ended;
    t.strictSame(listProblems(result, issuedTokens), [], `${what}, run ${turn}: ${result.stderr.trim()}`);
  }
}

await t.test('without a usable home, each run returns a token', async (t) => {
  await checkRunsWithHome(t, 'HOME does not exist', '/nonexistent');
  await checkRunsWithHome(t, 'no HOME', undefined);
  await checkRunsWithHome(t, 'HOME is relative', 'nowhere');
  await checkRunsWithHome(t, 'HOME is a file', PLUGIN_PATH);
  await checkRunsWithHome(t, 'HOME is a device', '/dev/null');
});

const skipReason = skipWithout('another user (root and setpriv)', () => isRoot && canRun('setpriv', '--version'));
const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

await t.test('with a home that is not writable, each run returns a token', { skip: skipReason }, async (t) => {
  await checkRunsWithHome(t, "another user's HOME", '/var', AS_NOBODY);
  await checkRunsWithHome(t, 'HOME does not exist', '/nonexistent', AS_NOBODY);
  await checkRunsWithHome(t, 'no HOME', undefined, AS_NOBODY);
});

await t.test('on a full disk, each run returns a token', async (t) => {
  const home = makeHome();
  const folder = home.path;
  t.teardown(() => home.remove());
  // Many containers, also in CI, cannot mount.
  if (!canMount(folder)) {
    t.comment('skipped: mount does not work here');
    return;
  }
  // Teardowns run in reverse order: the folder can be removed only after it is unmounted.
  t.teardown(() => execFileSync('umount', [folder]));
  canRun('dd', 'if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=1k', 'count=64');
  await checkRunsWithHome(t, 'HOME on a full disk', folder);
});
