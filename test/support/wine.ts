/** Runs the executable for Windows in Wine, on a Windows of its own and without a display. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Runtime } from '../../scripts/package/runtimes.ts';
import { executablePath, TARGETS } from '../../scripts/package/targets.ts';
import type { Runner } from './fixture.ts';
import { makeEnvironment } from './home.ts';
import type { EnvVars } from './home.ts';
import { canRun, skipWithout } from './missing-tools.ts';
import { readRuntime } from './packaged-runtime.ts';
import { PACKAGED_EXECUTABLE } from './run-plugin.ts';
import { startProgram } from './stress.ts';

const target = TARGETS.find(({ name }) => name === 'win-x64');
const executable = target === undefined ? '' : resolve(executablePath(target));

/** The reason to skip tests of the executable for Windows, or false. */
export const WINE_MISSING: string | false =
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout('an executable for win-x64', () => existsSync(executable)) ||
      skipWithout('wine', () => canRun('wine', '--version')) ||
      skipWithout('binutils for Windows', () => canRun('x86_64-w64-mingw32-ld', '--version'));

/** What the executable runs on. */
export const WINDOWS_RUNTIME: Runtime | undefined =
  target === undefined || WINE_MISSING !== false ? undefined : readRuntime(target);

export interface Wine {
  /** Runs the plugin without a terminal. */
  readonly run: Runner;
  /** How to run it otherwise: the command, and the variables that it needs. */
  readonly command: readonly string[];
  readonly variables: EnvVars;
  /** Lists the files that users of this Windows have in their caches. */
  listCache(): readonly string[];
  stop(): void;
}

/** In Wine 8, a library is missing that Bun needs, for random numbers. Another one of Windows has the same function. */
const RANDOM_NUMBERS = { library: 'bcryptprimitives.dll', name: 'ProcessPrng', same: 'advapi32.SystemFunction036' };

function addRandomNumbers(prefix: string): void {
  const { library, name, same } = RANDOM_NUMBERS;
  const path = join(prefix, 'drive_c/windows/system32', library);
  if (existsSync(path)) return;
  const [exports, object] = [join(prefix, 'exports.def'), join(prefix, 'exports.o')];
  writeFileSync(exports, `LIBRARY ${library}\nEXPORTS\n${name} = ${same}\n`);
  execFileSync('x86_64-w64-mingw32-dlltool', ['--input-def', exports, '--output-exp', object]);
  execFileSync('x86_64-w64-mingw32-ld', ['-shared', '-e', '0', '-o', path, object]);
}

/** How long Wine's server waits for the next run, in seconds. It also ends after a test that was killed. */
const SERVER_WAITS = 60;

/** Starts a new Windows, which takes seconds. */
export async function startWine(): Promise<Wine> {
  const folder = mkdtempSync(join(tmpdir(), 'cka-wine-'));
  const prefix = join(folder, 'prefix');
  mkdirSync(prefix);
  // Wine ends a program with status 1 and no other word after an error of "virtual". The other libraries ask whether to
  // download programs.
  const quiet = { WINEDEBUG: '-all,err+virtual', WINEDLLOVERRIDES: 'mscoree,mshtml,winemenubuilder.exe=d' };
  const env = { WINEPREFIX: prefix, ...quiet };
  const options = { env: { PATH: process.env['PATH'], HOME: folder, ...env }, cwd: folder };
  // Without pipes, which the server and the services of Windows would keep open.
  const start = async (program: string, ...args: string[]): Promise<void> => {
    const [status] = (await once(spawn(program, args, { ...options, stdio: 'ignore' }), 'exit')) as [number | null];
    if (status !== 0) throw new Error(`${[program, ...args].join(' ')} ended with status ${status}`);
  };
  // Debian's server ends with the last program, and Windows starts anew with the next one. A program that starts while the
  // server ends can fail with status 1: "wine client error:0: recvmsg: Connection reset by peer".
  await start('wineserver', `--persistent=${SERVER_WAITS}`);
  await start('wine', 'wineboot', '--init');
  // Node runs on Windows 10 and newer.
  await start('wine', 'winecfg', '-v', 'win10');
  addRandomNumbers(prefix);
  const command = ['wine', executable];
  let runs = 0;
  return {
    command,
    variables: env,
    async run({ home, args = [], env: settings = {}, cwd = home.path }) {
      // Node cannot open a pipe that is not one of Windows.
      const output = join(folder, `run-${String((runs += 1))}`);
      mkdirSync(output);
      const [out, err] = [join(output, 'stdout'), join(output, 'stderr')];
      const words = ['/bin/sh', '-c', 'out=$1 err=$2; shift 2; exec "$@" >"$out" 2>"$err"', 'sh', out, err];
      const environment = makeEnvironment(home, { ...settings, ...env });
      const ended = await startProgram([...words, ...command, ...args], environment, cwd).ended;
      return { ...ended, stdout: readFileSync(out, 'utf8'), stderr: readFileSync(err, 'utf8') };
    },
    listCache() {
      const users = join(prefix, 'drive_c/users');
      return readdirSync(users)
        .map((user) => join(users, user, 'AppData/Local/client-keystone-auth'))
        .filter((cache) => existsSync(cache))
        .flatMap((cache) => readdirSync(cache).map((name) => join(cache, name)));
    },
    stop() {
      execFileSync('wineserver', ['--kill', '--wait'], options);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
