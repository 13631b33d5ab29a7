/**
 * `npm run bench:stress`: measures how long the plugin takes in the situations of test/stress, where the tests check
 * only what it does. It builds the programs, prints each figure with its limit, and fails if a limit is exceeded. The
 * machine must be quiet: the limits are for two processors.
 *
 * The runs that start together are measured with the executables on both runtimes and unpackaged. These three alternate,
 * every other round in the opposite order, and the figures are medians of the rounds.
 *
 * usage: npm run bench:stress
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPTIONS } from '../src/plugin/auth-methods/registry.ts';
import { readConfig } from '../src/plugin/config/read-config.ts';
import { PLUGIN_COMMAND } from '../test/support/built-programs.ts';
import { fakeHost } from '../test/support/fake-host.ts';
import { makeEnvironment, makeHome } from '../test/support/home.ts';
import { HOSTILE_FILES } from '../test/support/hostile-yaml.ts';
import { startHangingRun, waitUntilAtLock } from '../test/support/lock-waiters.ts';
import { startStandInKeystone } from '../test/support/stand-in-keystone.ts';
import type { StandInKeystone } from '../test/support/stand-in-keystone.ts';
import { makeLoginSettings, testUsers } from '../test/support/stand-in-login.ts';
import { PATIENT, startProgram } from '../test/support/stress.ts';
import { median } from './lib/estimate.ts';
import { makeBothExecutables } from './package/both-runtimes.ts';

interface Figure {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: string;
}

/** Runs with a home and a stand-in Keystone of their own. */
async function withKeystone<T>(
  measure: (standIn: StandInKeystone, env: Record<string, string>, folder: string) => Promise<T>,
): Promise<T> {
  const home = makeHome();
  const standIn = await startStandInKeystone({ users: testUsers });
  try {
    // Users have no compile cache.
    const settings = { ...makeLoginSettings(`${standIn.url}/v3`), NODE_COMPILE_CACHE: undefined };
    return await measure(standIn, makeEnvironment(home, settings), home.path);
  } finally {
    await standIn.close();
    home.remove();
  }
}

/** How often the programs are measured in turn. */
const HERD_ROUNDS = 3;

const startPlugin = (env: Record<string, string>, ...args: readonly string[]): ReturnType<typeof startProgram> =>
  startProgram([...PLUGIN_COMMAND, ...args], env);

/** Waits until runs have ended successfully, and returns how long that took, in seconds. */
async function timeRuns(start: () => readonly ReturnType<typeof startProgram>[]): Promise<number> {
  const startedAt = performance.now();
  const results = await Promise.all(start().map(({ ended }) => ended));
  const seconds = (performance.now() - startedAt) / 1000;
  const failed = results.find(({ status }) => status !== 0);
  if (failed !== undefined) throw new Error(`a run failed: ${failed.stderr}`);
  return seconds;
}

/**
 * Starts 200 runs of a program, each with a parent of its own, as 200 kubectl do: the same parent would ask again because of
 * a rejection. The shell starts them faster than this process could, which is also the Keystone.
 */
const START_HERD =
  'n=200; while [ "$n" -gt 0 ]; do ("$0" "$@" >/dev/null || echo "status $?" >&2) & n=$((n-1)); done; wait';

/** Measures 200 runs of a program that start together with an empty cache, in seconds. */
function measureHerd(command: readonly string[]): Promise<number> {
  return withKeystone(async (_standIn, env) => {
    const startedAt = performance.now();
    const { stderr } = await startProgram(['/bin/sh', '-c', START_HERD, ...command, ...PATIENT], env).ended;
    if (stderr !== '') throw new Error(`a run failed: ${stderr}`);
    return (performance.now() - startedAt) / 1000;
  });
}

async function measureHerds(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    const { bun, node } = await makeBothExecutables(folder);
    const programs = [
      { name: 'executable on Bun', command: [bun], seconds: [] as number[] },
      { name: 'executable on Node', command: [node], seconds: [] as number[] },
      { name: 'unpackaged', command: PLUGIN_COMMAND, seconds: [] as number[] },
    ];
    for (let round = 0; round < HERD_ROUNDS; round += 1) {
      for (const { command, seconds } of round % 2 === 0 ? programs : programs.toReversed()) {
        seconds.push(await measureHerd(command));
      }
    }
    return programs.map(({ name, seconds }) => ({
      what: `200 runs that start together with an empty cache, ${name}`,
      measured: median(seconds),
      limit: 20,
      unit: 's',
    }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measureKilledRun(): Promise<Figure> {
  return withKeystone(async (standIn, env) => {
    const holder = await startHangingRun(standIn, env);
    standIn.answerNext(async (_request, response, { makeDefaultResponse }) => {
      // Similar to a real Keystone.
      await sleep(200);
      const { status, headers, body } = makeDefaultResponse();
      response.writeHead(status, headers).end(JSON.stringify(body));
    }, 'POST /v3/auth/tokens');
    const waiters = Array.from({ length: 50 }, () => startPlugin(env, ...PATIENT));
    await Promise.all(waiters.map(waitUntilAtLock));
    const measured = await timeRuns(() => {
      process.kill(-holder.pid, 'SIGKILL');
      return waiters;
    });
    return { what: '50 waiting runs after the run with the lock was killed', measured, limit: 2.2, unit: 's' };
  });
}

function measureSilentKeyring(): Promise<Figure> {
  return withKeystone(async (_standIn, env, folder) => {
    const path = join(folder, 'bus');
    const server = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((done) => void server.listen(path, done));
    const withBus = { ...env, DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` };
    const measured = await timeRuns(() => [startPlugin(withBus, '--cache-storage=keyring')]);
    server.close();
    return { what: 'a run with a keyring that does not answer', measured, limit: 5, unit: 's' };
  });
}

async function measureHostileFiles(): Promise<Figure> {
  const home = mkdtempSync(join(tmpdir(), 'bench-'));
  const folder = join(home, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const host = fakeHost({ cwd: home, home: () => home, env: { OS_CLOUD: 'c' } });
  const read = async (content: string | Buffer): Promise<number> => {
    writeFileSync(join(folder, 'clouds.yaml'), content);
    const before = process.cpuUsage();
    await readConfig(host, new Map(), OPTIONS).catch(() => undefined);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  let slowest = { name: '', ms: 0 };
  for (const [name, content] of Object.entries(HOSTILE_FILES)) {
    // The first times include those of V8's compiler and garbage collector.
    const times = [await read(content), await read(content), await read(content)];
    const ms = Math.min(...times);
    if (ms > slowest.ms) slowest = { name, ms };
  }
  rmSync(home, { recursive: true, force: true });
  return {
    what: `the slowest hostile clouds.yaml (${slowest.name})`,
    measured: slowest.ms,
    limit: 200,
    unit: 'ms CPU',
  };
}

let exceeded = 0;
// The first one builds the programs.
for (const measure of [measureHerds, measureKilledRun, measureSilentKeyring, measureHostileFiles]) {
  for (const { what, measured, limit, unit } of [await measure()].flat()) {
    if (measured > limit) exceeded += 1;
    console.log(
      `${measured > limit ? 'no ' : 'yes'}  ${measured.toFixed(1)} ${unit} (limit ${String(limit)}): ${what}`,
    );
  }
}
process.exitCode = exceeded === 0 ? 0 : 1;
