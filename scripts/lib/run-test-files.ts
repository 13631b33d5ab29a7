// Runs test files in processes, and measures them.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { BATCH_VARIABLE } from './test-batch.ts';
import { openProcessReport } from './test-report.ts';
import type { Counts, FileTime } from './test-report.ts';

/** Test files that run in one process, one after the other. */
export interface TestProcess {
  /** Relative to the folder of the project. */
  readonly paths: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Fulfilled when what the files need has started; without it, they need nothing. */
  readonly ready?: Promise<unknown>;
}

export interface TestRunOptions {
  /** The folder of the project. */
  readonly root: string;
  /** A folder for temporary files. */
  readonly dir: string;
  /** The number of processes that run at the same time, if it does not depend on the processors. */
  readonly jobs: number | undefined;
  /** A process that has not ended after this time hangs, and is stopped. */
  readonly timeoutSeconds: number;
  /** A bundle of `preload.ts`, which loads faster. */
  readonly bundledPreload?: string;
  /** A module that each test process loads before everything else. */
  readonly preload?: string | undefined;
  /** Gets the processes while they run, so that a signal can be passed to them. */
  readonly processes: Set<ChildProcess>;
  /** Whether no more files are started. */
  readonly isStopped: () => boolean;
  /** Writes lines of the report without a last newline. */
  readonly write: (text: string) => void;
}

const PRELOAD = fileURLToPath(new URL('preload.ts', import.meta.url));

const BATCH_PROGRAM = fileURLToPath(new URL('run-test-batch.ts', import.meta.url));

/** While some processes wait, others use their processors. */
const TESTS_BESIDE_PROCESSORS = 2;

/** Many tests mostly wait, but each takes memory. */
const MOST_TESTS_PER_PROCESSOR = 4;
const SAMPLE_MS = 500;

/**
 * Runs test processes, and starts them in this order: one for each processor, two beside them, and one more whenever a
 * processor is idle. A process that is not ready lets later ones pass.
 *
 * @returns the times, in the order in which the processes ended
 * @throws the reason why what a process needs could not be started
 */
export async function runTestProcesses(
  tests: readonly TestProcess[],
  options: TestRunOptions,
  counts: Counts,
): Promise<readonly FileTime[]> {
  const processors = availableParallelism();
  const atLeast = options.jobs ?? processors + TESTS_BESIDE_PROCESSORS;
  const atMost = options.jobs ?? processors * MOST_TESTS_PER_PROCESSOR;
  const times: FileTime[] = [];
  const waiting = new Set(tests);
  const ready = new Set(tests.filter((test) => test.ready === undefined));
  const running = new Set<Promise<void>>();
  for (const test of tests) {
    test.ready?.then(
      () => ready.add(test),
      // The loop below waits for it as well.
      () => undefined,
    );
  }
  const findNext = (): TestProcess | undefined =>
    options.isStopped() ? undefined : [...waiting].find((test) => ready.has(test));
  const start = (test: TestProcess): void => {
    waiting.delete(test);
    const ended = runTestProcess(test, options, counts).then((ofFiles) => {
      times.push(...ofFiles);
      running.delete(ended);
    });
    running.add(ended);
  };
  for (;;) {
    let next = findNext();
    while (next !== undefined && running.size < atLeast) {
      start(next);
      next = findNext();
    }
    const unready = options.isStopped() ? [] : [...waiting].filter((test) => !ready.has(test));
    if (running.size === 0 && unready.length === 0) return times;
    const change = Promise.race([...running, ...unready.map((test) => test.ready)]);
    if (next === undefined || running.size >= atMost) await change;
    else if (await Promise.race([change.then(() => false), waitForIdleProcessor()])) start(next);
  }
}

/** Resolves after a moment, to whether a processor had nothing to do. */
async function waitForIdleProcessor(): Promise<boolean> {
  const readIdleMs = (): number => cpus().reduce((sum, { times }) => sum + times.idle, 0);
  const before = { idleMs: readIdleMs(), at: performance.now() };
  await sleep(SAMPLE_MS);
  return readIdleMs() - before.idleMs > (performance.now() - before.at) / 2;
}

async function runTestProcess(
  { paths, env: own }: TestProcess,
  options: TestRunOptions,
  counts: Counts,
): Promise<readonly FileTime[]> {
  const { root, dir, jobs, timeoutSeconds, bundledPreload = PRELOAD, preload, processes } = options;
  const report = openProcessReport(paths, counts, { isLive: jobs === 1, write: options.write });
  const [first = ''] = paths;
  const isBatch = paths.length > 1;
  const name = first.replaceAll('/', '_');
  const processorTime = join(dir, `${name}.seconds`);
  const env = {
    ...own,
    ...(isBatch ? { [BATCH_VARIABLE]: paths.join(' ') } : {}),
    TAP_CHILD_ID: '1',
    TAP_TIMEOUT: String(timeoutSeconds),
    CKA_PROCESSOR_TIME: processorTime,
  };
  const args = [
    '--disable-warning=ExperimentalWarning',
    ...(preload === undefined ? [] : [`--require=${preload}`]),
    `--import=${pathToFileURL(bundledPreload).href}`,
    isBatch ? BATCH_PROGRAM : first,
  ];
  const startedAt = performance.now();
  // A file, because a pipe would stay open as long as a program that the test has left behind.
  const errors = join(dir, `${name}.stderr`);
  const errorFile = openSync(errors, 'w', 0o600);
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', errorFile] });
  closeSync(errorFile);
  child.stdout?.pipe(report.stream);
  processes.add(child);
  // tap ends a test that hangs and says where. This is for tests that tap cannot end.
  const timer = setTimeout(() => child.kill('SIGKILL'), (timeoutSeconds + 60) * 1000);
  const result = await new Promise<{ status: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject).once('close', (status, signal) => resolve({ status, signal }));
  });
  clearTimeout(timer);
  processes.delete(child);
  const seconds = (performance.now() - startedAt) / 1000;
  const processorSeconds = readSeconds(processorTime);
  return report.close({ ...result, seconds, processorSeconds, errors: readFileSync(errors, 'utf8') });
}

function readSeconds(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
