/**
 * The disk can be full, read-only or broken, and the machine can die at any moment. The plugin must still return a
 * token, and must never use the files of an interrupted run or fail because of them. strace injects an error or a
 * signal into each system call that accesses the cache; a fake file system would not know these calls.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { isAbsolute, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { prune } from '../../src/plugin/cache/prune.ts';
import { FULL_SIZE } from '../support/stress.ts';
import { checkNoProblems, parseToken, PATIENT, runInWorkers } from '../support/stress.ts';
import { forgetSubstitutesOf } from '../support/substitute-folders.ts';
import { canRun } from '../support/missing-tools.ts';
import { OTHER_USERS } from '../support/other-users.ts';
import { startProgram } from '../support/stress.ts';
import { skipWithout } from '../support/missing-tools.ts';
import { expireTokens } from '../support/expire-tokens.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND, PLUGIN_PATH } from '../support/run-plugin.ts';
import { makeEnvironment, makeExecInfo, makeHome, makeTestHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

/** A run that gets stuck at a lock is killed in the end. */
const COMMAND = [...PLUGIN_COMMAND, ...PATIENT];
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

/** A call to inject a fault into. A shortened run takes every fourth call. */
interface Case {
  readonly before: Before;
  readonly call: Call;
}

interface DiskFaultFixture {
  readonly home: Home;
  readonly env: Readonly<Record<string, string>>;
  readonly prepare: (before: Before) => void;
  /** Runs the plugin under strace and returns its system calls; injected faults are marked. */
  readonly runTraced: (inject?: string) => Promise<{ result: RunResult; lines: readonly string[] }>;
}

/** Starts a stand-in that records the tokens that it issues. */
async function startRecordingStandIn(t: Test): Promise<{ standIn: StandInKeystone; issuedTokens: Set<string> }> {
  const issuedTokens = new Set<string>();
  const standIn = await startKeystoneForTest(t);
  standIn.answerAlways((_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    issuedTokens.add(headers['x-subject-token'] ?? '');
    response.writeHead(status, headers).end(JSON.stringify(body));
  }, 'POST /v3/auth/tokens');
  return { standIn, issuedTokens };
}

/** Prepares what each situation starts with, in a home of its own. */
async function setUpDiskFaults(t: Test, standIn: StandInKeystone): Promise<DiskFaultFixture> {
  const home = makeTestHome(t);
  const env = makeEnvironment(home, {
    ...makeLoginSettings(`${standIn.url}/v3`),
    KUBERNETES_EXEC_INFO: makeExecInfo(),
  });
  const log = join(home.path, 'trace');
  const templateOf = (before: Before): string => join(home.path, before);
  await runPlugin({ home, env, args: PATIENT });
  for (const before of ['a fresh record', 'an expired record'] as const) {
    cpSync(home.cache, templateOf(before), { recursive: true, preserveTimestamps: true });
  }
  expireTokens(templateOf('an expired record'));
  const forget = (): void => {
    forgetSubstitutesOf(process.geteuid?.() ?? 0, home.path);
  };
  t.teardown(forget);
  return {
    home,
    env,
    prepare(before) {
      forget();
      rmSync(join(home.path, '.cache'), { recursive: true, force: true });
      if (before === 'nothing') return;
      mkdirSync(join(home.path, '.cache'), { mode: 0o700 });
      cpSync(templateOf(before), home.cache, { recursive: true, preserveTimestamps: true });
      chmodSync(home.cache, 0o700);
    },
    async runTraced(inject) {
      const what = inject === undefined ? ['-e', 'trace=file,desc'] : ['-e', `inject=${inject}`];
      const name = inject?.split(':')[0];
      const filter = name === undefined ? [] : ['-e', `trace=${name}`];
      rmSync(log, { force: true });
      // Without -f, strace follows only the thread that accesses the cache.
      const command = ['strace', '-qq', '-y', '-o', log, ...filter, ...what, ...COMMAND];
      const result = await startProgram(command, env).ended;
      return { result, lines: existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [] };
    },
  };
}

/** Lists the calls of a run on the cache. */
async function listCalls({ home, prepare, runTraced }: DiskFaultFixture, before: Before): Promise<Call[]> {
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
}

/** What the tests with strace share. */
interface Traces {
  readonly fixtures: readonly [DiskFaultFixture, ...DiskFaultFixture[]];
  readonly issuedTokens: ReadonlySet<string>;
  readonly calls: ReadonlyMap<Before, readonly Call[]>;
}

async function setUpTraces(t: Test): Promise<Traces> {
  const { standIn, issuedTokens } = await startRecordingStandIn(t);
  const setUp = (): Promise<DiskFaultFixture> => setUpDiskFaults(t, standIn);
  const fixtures = await Promise.all([setUp(), ...Array.from({ length: WORKERS - 1 }, setUp)] as const);
  const [first] = fixtures;
  const calls = new Map<Before, Call[]>();
  for (const before of SITUATIONS) calls.set(before, await listCalls(first, before));
  return { fixtures, issuedTokens, calls };
}

const isCacheAffected = (lines: readonly string[], { home }: DiskFaultFixture): boolean =>
  lines.some(
    (line, index) =>
      line.includes(home.cache) && (line.includes('(INJECTED)') || lines[index + 1]?.includes('killed by SIGKILL')),
  );

/** The result of a run with a fault. */
interface FaultResult {
  readonly what: string;
  readonly result: RunResult;
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
  { before, call: { name, nth: at } }: Case,
  fault: string,
): Promise<readonly FaultResult[]> {
  const runs: FaultResult[] = [];
  for (const when of [at, at + 1, at - 1, at].filter((nth) => nth > 0)) {
    fixture.prepare(before);
    const { result, lines } = await fixture.runTraced(`${name}:${fault}:when=${when}`);
    const isHit = isCacheAffected(lines, fixture);
    runs.push({ what: `${name}#${when} ${fault} with ${before}`, result, isHit });
    if (isHit) break;
  }
  return runs;
}

/** Lists the problems of a run, which must return a token despite the fault. */
function listProblems({ status, stdout, stderr }: RunResult, issuedTokens: ReadonlySet<string>): string[] {
  const lines = stderr.split('\n').slice(0, -1);
  return [
    ...(status === 0 ? [] : [`status ${String(status)}: ${stderr}`]),
    ...(issuedTokens.has(parseToken(stdout) ?? '') ? [] : [`stdout: ${stdout.slice(0, 60)}`]),
    ...(lines.length <= 1 ? [] : [`${lines.length} lines: ${stderr}`]),
    ...(lines.every((line) => line.startsWith('client-keystone-auth: warning: ')) ? [] : [`stderr: ${stderr}`]),
  ];
}

const traces = noStrace === false ? await setUpTraces(t) : undefined;

function testWithStrace(name: string, body: (t: Test, traces: Traces) => Promise<void>): void {
  if (traces === undefined) void t.test(name, { skip: noStrace }, () => undefined);
  else void t.test(name, (t) => body(t, traces));
}

testWithStrace(
  'a failure of any system call on the cache costs at most one warning',
  async (t, { fixtures, issuedTokens, calls }) => {
    const all = SITUATIONS.flatMap((before) =>
      (calls.get(before) ?? []).flatMap((call, index) =>
        (FULL_SIZE ? ERRORS : [ERRORS[(index >> 2) % ERRORS.length]]).map((error) => ({ before, call, error })),
      ),
    );
    const cases = FULL_SIZE ? all : all.filter((_, index) => index % 4 === 0);
    const problems: string[] = [];
    let hits = 0;
    await runInWorkers(WORKERS, cases, async ({ error, ...one }, worker) => {
      const fixture = fixtures[worker] ?? fixtures[0];
      const last = (await injectFault(fixture, one, `error=${error ?? ''}`)).at(-1);
      if (last?.isHit !== true) return;
      hits += 1;
      problems.push(...listProblems(last.result, issuedTokens).map((problem) => `${last.what}: ${problem}`));
    });
    t.ok(hits > cases.length * 0.8, `${hits} of ${cases.length} faults hit the cache`);
    checkNoProblems(t, problems, `${hits} failing system calls on the cache: ${problems.length} problems`);
  },
);

// Node itself needs these calls. If every later open failed, it could not read its own files.
const NEEDED_BY_NODE = /^(?:close|read|write|fcntl|fstat|statx|newfstatat|readlink|open.*)$/;

testWithStrace('failures of all later calls cost at most one warning', async (t, { fixtures, issuedTokens, calls }) => {
  const firstCalls = (FULL_SIZE ? SITUATIONS : SITUATIONS.slice(0, 1)).flatMap((before) => {
    const found = (calls.get(before) ?? []).filter(({ name }) => !NEEDED_BY_NODE.test(name));
    const names = [...new Set(found.map(({ name }) => name))];
    return names
      .flatMap((name) => found.filter((call) => call.name === name).slice(0, 1))
      .map((call) => ({ before, call }));
  });
  t.not(firstCalls.length, 0);
  const problems: string[] = [];
  await runInWorkers(WORKERS, firstCalls, async ({ before, call: { name, nth } }, worker) => {
    const fixture = fixtures[worker] ?? fixtures[0];
    fixture.prepare(before);
    const { result } = await fixture.runTraced(`${name}:error=ENOSPC:when=${nth}+`);
    problems.push(...listProblems(result, issuedTokens).map((problem) => `${name}#${nth}+ with ${before}: ${problem}`));
  });
  checkNoProblems(
    t,
    problems,
    `${firstCalls.length} kinds of system calls that fail from a call on: ${problems.length} problems`,
  );
});

testWithStrace(
  'a run that is killed at any system call on the cache does not disturb the next run',
  async (t, { fixtures, issuedTokens, calls }) => {
    const once = SITUATIONS.flatMap((before) => (calls.get(before) ?? []).map((call) => ({ before, call })));
    const cases = FULL_SIZE
      ? Array.from({ length: 10 }, () => once).flat()
      : once.filter((_, index) => index % 4 === 2);
    const problems: string[] = [];
    let killed = 0;
    let leftovers = 0;
    await runInWorkers(WORKERS, cases, async (one, worker) => {
      const fixture = fixtures[worker] ?? fixtures[0];
      const runs = await injectFault(fixture, one, 'signal=KILL');
      for (const { what, result } of runs)
        if (result.signal !== 'SIGKILL' && result.status !== 0) problems.push(`${what}: ${result.stderr}`);
      const { what, isHit } = runs.at(-1) ?? { what: '', isHit: false };
      if (isHit) killed += 1;
      const next = await startProgram(COMMAND, fixture.env).ended;
      problems.push(...listProblems(next, issuedTokens).map((problem) => `after ${what}: ${problem}`));
      if (next.stderr !== '') problems.push(`after ${what}: ${next.stderr}`);
      const temporary = (): string[] => readdirSync(fixture.home.cache).filter((file) => file.startsWith('.'));
      leftovers += temporary().length;
      prune({ path: fixture.home.cache, uid: process.geteuid?.() }, Date.now() + 61_000);
      if (temporary().length > 0) problems.push(`after ${what}: ${temporary().join()}`);
    });
    t.ok(killed > cases.length * 0.8, `${killed} of ${cases.length} runs were killed at the cache`);
    checkNoProblems(t, problems, `${killed} kills: ${problems.length} problems, ${leftovers} leftovers pruned`);
  },
);

const isRoot = process.geteuid?.() === 0;
const canMount = (folder: string): boolean =>
  isRoot && canRun('mount', '-t', 'tmpfs', '-o', 'size=16k', 'none', folder);

async function checkRunsWithHome(t: Test, what: string, homePath: string | undefined, prefix: readonly string[] = []) {
  const uid = prefix.length > 0 ? NOBODY : process.geteuid?.();
  // A relative home counts as none.
  const home = homePath !== undefined && isAbsolute(homePath) ? homePath : undefined;
  t.teardown(() => {
    if (uid !== undefined) forgetSubstitutesOf(uid, home);
  });
  const { standIn, issuedTokens } = await startRecordingStandIn(t);
  const env = makeEnvironment(
    { path: '/', cache: '', remove: () => undefined },
    { ...makeLoginSettings(standIn.url), HOME: homePath },
  );
  for (const turn of [1, 2]) {
    const result = await startProgram([...prefix, ...COMMAND], env).ended;
    t.strictSame(listProblems(result, issuedTokens), [], `${what}, run ${turn}: ${result.stderr.trim()}`);
  }
  // Without HOME, the token is in the home of the account: the developer's own cache.
  const { status, stdout, stderr } = await startProgram([...prefix, process.execPath, PLUGIN_PATH, 'logout'], env)
    .ended;
  t.equal(status, 0, `${what}, logout: ${stderr.trim()}`);
  t.match(stdout, / revoked$/m, `${what}, logout`);
}

await t.test('without a usable home, each run returns a token', async (t) => {
  await checkRunsWithHome(t, 'HOME does not exist', join(t.testdir(), 'nonexistent'));
  await checkRunsWithHome(t, 'no HOME', undefined);
  await checkRunsWithHome(t, 'HOME is relative', 'nowhere');
  await checkRunsWithHome(t, 'HOME is a file', PLUGIN_PATH);
  await checkRunsWithHome(t, 'HOME is a device', '/dev/null');
});

const skipReason = skipWithout('another user (root and setpriv)', () => isRoot && canRun('setpriv', '--version'));
const { nobody: NOBODY } = OTHER_USERS.diskFaults;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];

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
