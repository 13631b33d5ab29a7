/**
 * The disk may be full, read-only or broken at any moment, and the machine may die at any other: the token is given all
 * the same, and what is left behind is never served and never in the way. strace makes the kernel answer so at each
 * single system call that has to do with the cache; no fake file system would know which ones those are.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { prune } from '../../src/plugin/cache/prune.ts';
import {
  canRun,
  FULL_SIZE,
  runInWorkers,
  checkNoProblems,
  formatSeconds,
  pickSize,
  startProgram,
  parseToken,
  skipWithout,
} from '../support/stress.ts';
import type { TimedRun } from '../support/stress.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import {
  PLUGIN_COMMAND,
  makeExecInfo,
  makeEnvironment,
  makeHome,
  PLUGIN_PATH,
  runPlugin,
} from '../support/run-plugin.ts';
import type { Home } from '../support/run-plugin.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

t.setTimeout(pickSize(1_500_000, 170_000));

const ERRORS = ['ENOSPC', 'EROFS', 'EIO', 'EACCES'];
const WIDTH = Math.min(4, cpus().length + 1);
const noStrace = skipWithout('strace', () => canRun('strace', '-V'));

/** What the cache holds before a run. */
type Before = 'nothing' | 'an expired record' | 'a living record';
const SITUATIONS: readonly Before[] = ['nothing', 'an expired record', 'a living record'];

/** One system call of a run: the nth of its name. */
interface Call {
  readonly name: string;
  readonly nth: number;
}

/** A call to disturb, by its place in the list of those of a situation. */
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
  /** Runs the plugin under strace and returns what it did with the cache, injected calls marked. */
  traced(inject?: string): Promise<{ ran: TimedRun; lines: readonly string[] }>;
}

/** A stand-in that remembers what it gave. */
async function watch(t: Test): Promise<{ standIn: StandInKeystone; given: Set<string> }> {
  const standIn = await startKeystoneForTest(t);
  const given = new Set<string>();
  standIn.answerAlways((_request, response, { makeDefaultResponse }) => {
    const { status, headers, body } = makeDefaultResponse();
    given.add(headers['x-subject-token'] ?? '');
    response.writeHead(status, headers).end(JSON.stringify(body));
  }, 'POST /v3/auth/tokens');
  return { standIn, given };
}

/** Waits until nothing in a folder of records is in force; their times of modification say until when they are. */
async function untilOver(folder: string): Promise<void> {
  const ends = readdirSync(folder)
    .filter((name) => !name.endsWith('.lock'))
    .map((name) => statSync(join(folder, name)).mtimeMs);
  await setTimeout(Math.max(0, ...ends.map((end) => end - Date.now())) + 100);
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
    standIn.lifetimeSeconds = before === 'a living record' ? 3600 : 1;
    await runPlugin({ home, env });
    const template = join(home.path, before);
    templates.set(before, template);
    cpSync(home.cache, template, { recursive: true, preserveTimestamps: true });
    if (before === 'an expired record') await untilOver(template);
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
  const traced: DiskFaultFixture['traced'] = async (inject) => {
    const what = inject === undefined ? ['-e', 'trace=file,desc'] : ['-e', `inject=${inject}`];
    const name = inject?.split(':')[0];
    const only = name === undefined ? [] : ['-e', `trace=${name}`];
    rmSync(log, { force: true });
    // Without -f, only the thread that works with the cache is looked at and disturbed.
    const ran = await startProgram(['strace', '-qq', '-y', '-o', log, ...only, ...what, ...PLUGIN_COMMAND], env).ended;
    return { ran, lines: existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [] };
  };
  const listCalls = async (before: Before): Promise<Call[]> => {
    prepare(before);
    const counts = new Map<string, number>();
    const calls: Call[] = [];
    for (const line of (await traced()).lines) {
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
  return { home, env, calls, prepare, traced };
}

/** In turn, because the lifetime of what a desk is prepared with is set on the stand-in, which they share. */
async function setUpDiskFaultsInTurn(t: Test, standIn: StandInKeystone): Promise<readonly DiskFaultFixture[]> {
  const desks: DiskFaultFixture[] = [];
  while (desks.length < WIDTH) desks.push(await setUpDiskFaults(t, standIn));
  return desks;
}

const hitCache = (lines: readonly string[], { home }: DiskFaultFixture): boolean =>
  lines.some(
    (line, index) =>
      line.includes(home.cache) && (line.includes('(INJECTED)') || lines[index + 1]?.includes('killed by SIGKILL')),
  );

/** One run with a fault. */
interface FaultResult {
  readonly what: string;
  readonly ran: TimedRun;
  readonly hit: boolean;
}

/**
 * Runs the plugin with a fault at a call, and again with one beside it until the cache was hit: Node itself makes a call
 * of that name more or less before, and a fault that hits Node says nothing about us. The last run is the one that counts.
 */
async function injectFault(
  desk: DiskFaultFixture,
  { before, call, index }: Case,
  fault: string,
): Promise<readonly FaultResult[]> {
  const at = desk.calls.get(before)?.[index]?.nth ?? call.nth;
  const runs: FaultResult[] = [];
  for (const when of [at, at + 1, at - 1, at].filter((nth) => nth > 0)) {
    desk.prepare(before);
    const { ran, lines } = await desk.traced(`${call.name}:${fault}:when=${when}`);
    const hit = hitCache(lines, desk);
    runs.push({ what: `${call.name}#${when} ${fault} with ${before}`, ran, hit });
    if (hit) break;
  }
  return runs;
}

/** What is wrong with a run that must give a token whatever happens. */
function listProblems({ status, stdout, stderr, ms }: TimedRun, given: ReadonlySet<string>): string[] {
  const lines = stderr.split('\n').slice(0, -1);
  return [
    ...(status === 0 ? [] : [`status ${String(status)}: ${stderr}`]),
    ...(given.has(parseToken(stdout) ?? '') ? [] : [`stdout: ${stdout.slice(0, 60)}`]),
    ...(lines.length <= 1 ? [] : [`${lines.length} lines: ${stderr}`]),
    ...(lines.every((line) => line.startsWith('client-keystone-auth: warning: ')) ? [] : [`stderr: ${stderr}`]),
    ...(ms < 10_000 ? [] : [`it took ${formatSeconds(ms)}`]),
  ];
}

await t.test('every system call on the cache fails', { skip: noStrace }, async (t) => {
  const { standIn, given } = await watch(t);
  const desks = await setUpDiskFaultsInTurn(t, standIn);
  const [first] = desks;
  if (first === undefined) return;
  const all = SITUATIONS.flatMap((before) =>
    (first.calls.get(before) ?? []).flatMap((call, index) =>
      (FULL_SIZE ? ERRORS : [ERRORS[index % ERRORS.length]]).map((error) => ({ before, call, index, error })),
    ),
  );
  const cases = FULL_SIZE ? all : all.filter((_, index) => index % 2 === 0);
  const problems: string[] = [];
  let hits = 0;
  await runInWorkers(WIDTH, cases, async ({ error, ...one }, worker) => {
    const last = (await injectFault(desks[worker] ?? first, one, `error=${error ?? ''}`)).at(-1);
    if (last?.hit !== true) return;
    hits += 1;
    problems.push(...listProblems(last.ran, given).map((problem) => `${last.what}: ${problem}`));
  });
  t.ok(hits > cases.length * 0.8, `${hits} of ${cases.length} faults hit the cache`);
  checkNoProblems(t, problems, `${hits} failing system calls on the cache: ${problems.length} problems`);
});

await t.test('every later call fails too', { skip: noStrace }, async (t) => {
  const { standIn, given } = await watch(t);
  const desk = await setUpDiskFaults(t, standIn);
  const names = new Map<string, { before: Before; nth: number }>();
  for (const before of FULL_SIZE ? SITUATIONS : SITUATIONS.slice(0, 1)) {
    for (const { name, nth } of desk.calls.get(before) ?? []) {
      // Node needs these for everything else too.
      if (!/^(?:close|read|write|fcntl|fstat|statx|newfstatat|readlink)$/.test(name) && !names.has(`${before} ${name}`))
        names.set(`${before} ${name}`, { before, nth });
    }
  }
  const problems: string[] = [];
  for (const [key, { before, nth }] of names) {
    const name = key.split(' ').at(-1) ?? '';
    // Opening fails for writing only where the disk is full; else Node could not read its own files.
    if (name.startsWith('open')) continue;
    desk.prepare(before);
    const { ran } = await desk.traced(`${name}:error=ENOSPC:when=${nth}+`);
    problems.push(...listProblems(ran, given).map((problem) => `${key}#${nth}+: ${problem}`));
  }
  checkNoProblems(
    t,
    problems,
    `${names.size} kinds of system calls that fail from then on: ${problems.length} problems`,
  );
});

await t.test('a run is killed at every system call on the cache', { skip: noStrace }, async (t) => {
  const { standIn, given } = await watch(t);
  const desks = await setUpDiskFaultsInTurn(t, standIn);
  const [first] = desks;
  if (first === undefined) return;
  const once = SITUATIONS.flatMap((before) =>
    (first.calls.get(before) ?? []).map((call, index) => ({ before, call, index })),
  );
  const cases = FULL_SIZE ? Array.from({ length: 10 }, () => once).flat() : once.filter((_, index) => index % 2 === 1);
  const problems: string[] = [];
  let killed = 0;
  let leftovers = 0;
  let slowest = 0;
  await runInWorkers(WIDTH, cases, async (one, worker) => {
    const desk = desks[worker] ?? first;
    const runs = await injectFault(desk, one, 'signal=KILL');
    for (const { what, ran } of runs)
      if (ran.signal !== 'SIGKILL' && ran.status !== 0) problems.push(`${what}: ${ran.stderr}`);
    const { what, hit } = runs.at(-1) ?? { what: '', hit: false };
    if (hit) killed += 1;
    const next = await startProgram([...PLUGIN_COMMAND], desk.env).ended;
    slowest = Math.max(slowest, next.ms);
    problems.push(...listProblems(next, given).map((problem) => `after ${what}: ${problem}`));
    if (next.stderr !== '') problems.push(`after ${what}: ${next.stderr}`);
    if (next.ms > 3_000) problems.push(`after ${what}: stuck for ${formatSeconds(next.ms)}`);
    const temporary = (): string[] => readdirSync(desk.home.cache).filter((file) => file.startsWith('.'));
    leftovers += temporary().length;
    prune(desk.home.cache, Date.now() + 61_000);
    if (temporary().length > 0) problems.push(`after ${what}: ${temporary().join()}`);
  });
  t.ok(killed > cases.length * 0.8, `${killed} of ${cases.length} runs were killed at the cache`);
  checkNoProblems(
    t,
    problems,
    `${killed} kills: ${problems.length} problems, ${leftovers} leftovers pruned, slowest run after it ${formatSeconds(slowest)}`,
  );
});

const isRoot = process.geteuid?.() === 0;
const canMount = (folder: string): boolean =>
  isRoot && canRun('mount', '-t', 'tmpfs', '-o', 'size=16k', 'none', folder);

async function checkHome(t: Test, what: string, homePath: string | undefined, prefix: readonly string[] = []) {
  const { standIn, given } = await watch(t);
  const env = makeEnvironment(
    { path: '/', cache: '', remove: () => undefined },
    { ...makeLoginSettings(standIn.url), HOME: homePath },
  );
  for (const turn of [1, 2]) {
    const ran = await startProgram([...prefix, ...PLUGIN_COMMAND], env).ended;
    t.strictSame(listProblems(ran, given), [], `${what}, run ${turn}: ${ran.stderr.trim()}`);
  }
}

await t.test('homes that hold nothing', async (t) => {
  await checkHome(t, 'HOME does not exist', '/nonexistent');
  await checkHome(t, 'no HOME', undefined);
  await checkHome(t, 'HOME is relative', 'nowhere');
  await checkHome(t, 'HOME is a file', PLUGIN_PATH);
  await checkHome(t, 'HOME is no folder at all', '/dev/null');
});

const noOthers = skipWithout('another user (root and setpriv)', () => isRoot && canRun('setpriv', '--version'));
const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

await t.test('a home that one may not write', { skip: noOthers }, async (t) => {
  await checkHome(t, "somebody else's HOME", '/var', AS_NOBODY);
  await checkHome(t, 'HOME does not exist', '/nonexistent', AS_NOBODY);
  await checkHome(t, 'no HOME', undefined, AS_NOBODY);
});

await t.test('a full disk', async (t) => {
  const home = makeHome();
  const folder = home.path;
  t.teardown(() => home.remove());
  // Containers without the right to mount are common, in CI too.
  if (!canMount(folder)) {
    t.comment('skipped: nothing can be mounted here');
    return;
  }
  // Last in, first out: the folder can only go once nothing is mounted on it.
  t.teardown(() => execFileSync('umount', [folder]));
  canRun('dd', 'if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=1k', 'count=64');
  await checkHome(t, 'HOME on a full disk', folder);
});
