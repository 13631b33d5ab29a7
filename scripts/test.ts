// `npm test`: starts what the test files need (the built programs, a real Keystone, an identity provider), runs them,
// says which files were slow, and prints the number of assertions as its last line.
//
// usage: node scripts/test.ts [--unit | --stress | --packaged [--made]] [--jitter SEED]... [TEST-FILE...]
//
// --unit: run the files that need nothing.
// --stress: run the attacks on the cache and the random inputs in full size, one file at a time.
// --packaged: build the single executable of this platform, and test it instead of the bundles.
// --made: with --packaged, test the executable that `npm run package` has built.
// --jitter: delay things in the tests and in the programs at random; several seeds run the files several times.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { parseArgs } from 'node:util';

import type { ResourceName, Resources } from '../test/support/resources.ts';
import { bundleJitter } from './lib/bundle-jitter.ts';
import { bundlePreload } from './lib/bundle-preload.ts';
import { bundleTap } from './lib/bundle-tap.ts';
import { isPackagedTest } from './lib/packaged-tests.ts';
import { readChildSeconds, readOwnSeconds } from './lib/processor-time.ts';
import { runTestProcesses } from './lib/run-test-files.ts';
import type { TestProcess, TestRunOptions } from './lib/run-test-files.ts';
import { startResources } from './lib/start-test-resources.ts';
import type { Server } from './lib/start-test-resources.ts';
import { makeBatches } from './lib/test-batch.ts';
import { describeCounts } from './lib/test-report.ts';
import type { Counts, FileTime } from './lib/test-report.ts';
import { findResources } from './lib/test-resources.ts';
import { describeSlowest, estimateSeconds, readTestTimes, sortSlowestFirst, writeTestTimes } from './lib/test-times.ts';
import type { TestTimes } from './lib/test-times.ts';
import { executablePath, hostTarget } from './package/targets.ts';

const root = dirname(import.meta.dirname);
const cache = join(root, 'node_modules/.cache/client-keystone-auth');
const timesFile = join(cache, 'test-times.json');
const compileCache = join(cache, 'compile-cache');
const nodeFlags = ['--disable-warning=ExperimentalWarning'];

/** Test files of a plain `npm test`. */
const ALL = /^test\/(?!package\/)/;
const UNIT = /^test\/(?:property|unit)\//;
const STRESS = /^test\/(?:property|stress)\//;

/** More would start more processes, fewer would be ready at different times. */
const BATCHES_PER_PROCESSOR = 2;

const USAGE = 'usage: npm test -- [--unit | --stress | --packaged [--made]] [--jitter SEED]... [TEST-FILE...]';

interface Selection {
  readonly files: readonly string[];
  readonly isFullSize: boolean;
  readonly isPackaged: boolean;
  /** The executable is built already. */
  readonly isMade: boolean;
  /** Each decides the random delays of one run of all files; without one, nothing is delayed. */
  readonly jitterSeeds: readonly string[];
}

/** A mistake in the arguments. */
class UsageError extends Error {}

/** The processes that this one waits for. */
const processes = new Set<ChildProcess>();
let interruptedBy: NodeJS.Signals | undefined;

// Not process.exitCode: after a failure, a server that is still starting would keep this process alive.
process.exit(await main(process.argv.slice(2)));

async function main(args: string[]): Promise<number> {
  const startedAt = performance.now();
  const dir = mkdtempSync(join(tmpdir(), 'client-keystone-auth-test-'));
  const removeDir = (): void => {
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', removeDir);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      interrupt(signal);
    });

  const counts = { passed: 0, failed: 0, skipped: 0 };
  const servers: Server[] = [];
  let times: readonly FileTime[] = [];
  try {
    times = await runTests(selectTests(args), dir, servers, counts);
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : `\n${describeError(error)}`);
    for (const server of servers) console.error(await server.readLog());
    counts.failed += 1;
  } finally {
    for (const child of processes) child.kill();
    await Promise.all(servers.map((server) => server.stop()));
    removeDir();
  }
  if (times.length > 1) printTimes(times, (performance.now() - startedAt) / 1000);
  console.log(describeCounts(counts));
  if (interruptedBy !== undefined) return 128 + constants.signals[interruptedBy];
  return counts.failed > 0 ? 1 : 0;
}

/** Passes the signal to the running processes, so that the cleanup follows. Without such a process, exits. */
function interrupt(signal: NodeJS.Signals): void {
  if (processes.size === 0) process.exit(128 + constants.signals[signal]);
  interruptedBy = signal;
  for (const child of processes) child.kill(signal);
}

async function runTests(
  selection: Selection,
  dir: string,
  servers: Server[],
  counts: Counts,
): Promise<readonly FileTime[]> {
  const resources = await findResources(root, selection.files);
  const names = new Set([...resources.values()].flat());
  const resourceFolder = join(dir, 'resources');
  mkdirSync(resourceFolder);
  const env = {
    ...filterEnvironment(),
    NODE_COMPILE_CACHE: compileCache,
    CKA_TAP_BUNDLE: await bundleTap(cache),
    CKA_STRIPPED_MODULES: join(cache, 'stripped-modules'),
    CKA_TEST_RESOURCES: resourceFolder,
    ...(selection.isFullSize ? { CKA_STRESS: 'full' } : {}),
  };
  const ready = startAll(selection, names, { dir, servers, resourceFolder });
  const toProcess = (paths: readonly string[]): TestProcess => {
    const needed = resources.get(paths[0] ?? '') ?? [];
    const test = { paths, env: { ...env, CKA_TEST_RESOURCE_NAMES: needed.join(' ') } };
    return needed.length === 0
      ? test
      : { ...test, ready: Promise.all(needed.flatMap((name) => ready.get(name) ?? [])) };
  };
  const knownTimes = readTestTimes(timesFile);
  const lists = groupFiles(selection, (path) => resources.get(path)?.length === 0, knownTimes);
  const tests = sortSlowestFirst(lists, knownTimes).map(toProcess);
  const options = {
    root,
    dir,
    jobs: selection.isFullSize ? 1 : undefined,
    timeoutSeconds: selection.isFullSize ? 7200 : 1800,
    bundledPreload: await bundlePreload(cache),
    processes,
    isStopped: () => interruptedBy !== undefined,
    write: (text: string) => {
      console.log(text);
    },
  };
  if (selection.jitterSeeds.length > 0) return runWithDelays(tests, selection.jitterSeeds, options, counts);
  const times = await runTestProcesses(tests, options, counts);
  // In full size, the times are others.
  if (!selection.isFullSize) writeTestTimes(timesFile, times);
  return times;
}

/** Decides which files share a process: those that need nothing, unless they run with delays or in full size. */
function groupFiles(
  { files, isFullSize, jitterSeeds }: Selection,
  needsNothing: (path: string) => boolean,
  times: TestTimes,
): readonly (readonly string[])[] {
  if (isFullSize || jitterSeeds.length > 0) return files.map((path) => [path]);
  const batches = makeBatches(files.filter(needsNothing), BATCHES_PER_PROCESSOR * availableParallelism(), (path) =>
    estimateSeconds(path, times),
  );
  return [...batches, ...files.filter((path) => !needsNothing(path)).map((path) => [path])];
}

/** Runs the files once for each seed. */
async function runWithDelays(
  tests: readonly TestProcess[],
  seeds: readonly string[],
  options: TestRunOptions,
  counts: Counts,
): Promise<readonly FileTime[]> {
  const times: FileTime[] = [];
  for (const seed of seeds) {
    const preload = await bundleJitter(cache, seed);
    options.write(`with the delays of --jitter ${seed}:`);
    const delayed = tests.map((test) => ({ ...test, env: { ...test.env, CKA_JITTER: preload } }));
    times.push(...(await runTestProcesses(delayed, { ...options, preload }, counts)));
  }
  return times;
}

/** Builds and starts what the files need. Each resource writes a file that tells them where it is. */
function startAll(
  selection: Selection,
  names: ReadonlySet<ResourceName>,
  {
    dir,
    servers,
    resourceFolder,
  }: { readonly dir: string; readonly servers: Server[]; readonly resourceFolder: string },
): ReadonlyMap<ResourceName, Promise<void>> {
  const starting = new Map<ResourceName, Promise<unknown>>(startResources(names, dir, servers));
  if (names.has('programs')) starting.set('programs', buildPrograms(selection));
  return new Map(
    [...starting].map(([name, started]) => [
      name,
      started.then((resource) => {
        writeFileSync(join(resourceFolder, `${name}.json`), JSON.stringify(resource), { mode: 0o600 });
      }),
    ]),
  );
}

/**
 * Reads the arguments.
 *
 * @throws UsageError for a mistake in them
 */
function selectTests(args: string[]): Selection {
  const { values, positionals } = parseArguments(args);
  const { unit, stress, packaged, made, jitter } = values;
  if ([unit, stress, packaged].filter(Boolean).length > 1 || (made && !packaged)) throw new UsageError(USAGE);
  const pattern = unit ? UNIT : stress ? STRESS : ALL;
  const isSelected = packaged ? isPackagedTest : (file: string) => pattern.test(file);
  const files = positionals.length > 0 ? positionals.map(toTestFile) : listTestFiles().filter(isSelected);
  return { files, isFullSize: stress, isPackaged: packaged, isMade: made, jitterSeeds: jitter };
}

interface Arguments {
  readonly values: Readonly<Record<'unit' | 'stress' | 'packaged' | 'made', boolean>> & {
    readonly jitter: readonly string[];
  };
  readonly positionals: readonly string[];
}

function parseArguments(args: string[]): Arguments {
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({
      args,
      options: {
        unit: flag,
        stress: flag,
        packaged: flag,
        made: flag,
        jitter: { type: 'string', multiple: true, default: [] },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(`${describeError(error)}\n${USAGE}`);
  }
}

/** Returns a path below the folder of the project, as the list of test files has it. */
function toTestFile(argument: string): string {
  const path = relative(root, resolve(argument)).replaceAll(sep, '/');
  if (!path.startsWith('test/') || !path.endsWith('.test.ts'))
    throw new UsageError(`${argument} is not a test file: those are test/….test.ts\n${USAGE}`);
  if (!existsSync(join(root, path))) throw new UsageError(`${argument} does not exist`);
  return path;
}

function listTestFiles(): string[] {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file.replaceAll('\\', '/')}`)
    .toSorted();
}

/** Builds the bundles, or this platform's executable unless it is already built. */
async function buildPrograms({ isPackaged, isMade }: Selection): Promise<Resources['programs']> {
  if (!isPackaged) {
    await runNode('building the programs', ['scripts/build.ts']);
    return {};
  }
  const target = hostTarget();
  const executable = join(root, executablePath(target));
  if (!isMade) await runNode('building the executable', ['scripts/package.ts', '--target', target.name]);
  else if (!existsSync(executable))
    throw new UsageError(`--made: ${executable} does not exist; run "npm run package" first`);
  return { executable };
}

/** Returns the environment without a developer's OpenStack login and without the variables of an outer test run. */
function filterEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(?:OS|CKA(?!_(?:SEED|STRESS|FUZZ_SECONDS|WRITE_VERDICTS)$)|TAP)_|^TAP$/.test(name),
    ),
  );
}

async function runNode(step: string, args: string[]): Promise<void> {
  const child = spawn(process.execPath, [...nodeFlags, ...args], {
    cwd: root,
    env: filterEnvironment(),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  processes.add(child);
  const [status] = (await once(child, 'close')) as [number | null];
  processes.delete(child);
  if (status !== 0) throw new Error(`${step} failed with status ${String(status)}`);
}

function printTimes(times: readonly FileTime[], seconds: number): void {
  console.log(`\n${describeSlowest(times).join('\n')}`);
  const inTests = times.reduce((sum, { processorSeconds = 0 }) => sum + processorSeconds, 0);
  const inAll = readOwnSeconds() + readChildSeconds();
  console.log(
    `${seconds.toFixed(1).padStart(10)}  ${inAll.toFixed(1).padStart(11)}  in total, with servers and builds`,
  );
  console.log(`${inTests.toFixed(1).padStart(23)}  in the test files\n`);
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
