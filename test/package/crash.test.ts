/**
 * What an executable of Bun does when it crashes. A plain Bun prints the arguments, and on some platforms sends a
 * report. The executable prints nothing of the run, starts and sends nothing, and writes no file.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { fetchPackageFile } from '../../scripts/lib/npm-package.ts';
import { silenceCrashReport } from '../../scripts/package/bun-binary/silence-crash-report.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { makeLoginSettings, PASSWORD } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { makeIsolatedCommand, PLUGIN_PATH, RUNTIME } from '../support/run-plugin.ts';
import { waitUntil } from '../support/wait-until.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const skip = RUNTIME === 'bun' ? false : 'npm run package -- --runtime bun, then npm test -- --packaged --made';
const withStrace = skip === false ? skipWithout('strace', () => canRun('strace', '-V')) : skip;

/** A user name that must not appear. */
const USER = 'user-of-the-crash';

/** Bun's own ways to crash: its code fails, the processor objects, the memory ends, or a library gives up. */
const CRASHES = ['panic', 'segfault', 'outOfMemory', 'operatorNew', 'abort', 'trap'];

const CRASH = "require('bun:internal-for-testing').crash_handler[process.argv[2]]();\n";

await t.test('a crash of Bun itself prints no argument', { skip }, async (t) => {
  const folder = t.testdir({ 'crash.cjs': CRASH });
  const { name, file, processor } = hostTarget().bun;
  const program = await fetchPackageFile(name, file);
  // Relative, because Bun prints only the first 196 characters.
  const [plain, silent] = ['./plain', './silent'];
  writeFileSync(join(folder, plain), program, { mode: 0o755 });
  silenceCrashReport(program, processor);
  writeFileSync(join(folder, silent), program, { mode: 0o755 });
  const before = readdirSync(folder);
  const crash = (path: string, how: string): { readonly output: string; readonly signal: string | null } => {
    const variables = { BUN_FEATURE_FLAG_INTERNAL_FOR_TESTING: '1', BUN_GARBAGE_COLLECTOR_LEVEL: '0' };
    const [command, args, options] = makeIsolatedCommand(path, ['./crash.cjs', how, USER], variables);
    const { stdout, stderr, signal } = spawnSync(command, args, { ...options, cwd: folder, encoding: 'utf8' });
    return { output: stdout + stderr, signal };
  };
  for (const how of CRASHES) {
    t.match(crash(plain, how).output, USER, `${how}: a plain Bun prints the arguments`);
    const { output, signal } = crash(silent, how);
    t.type(signal, 'string', `${how}: a signal ends it`);
    t.match(
      output,
      /^(?:\npanic: Illegal instruction at address 0x[\dA-F]+\npanicked during a panic. Aborting.\n)?$/,
      how,
    );
  }
  t.strictSame(readdirSync(folder), before, 'no file is written');
});

interface SilentServer {
  readonly url: string;
  /** How many whole requests it has received. */
  readonly countRequests: () => number;
}

/** Starts a server that reads requests and never answers. */
async function startSilentServer(t: Test): Promise<SilentServer> {
  let count = 0;
  const server = createServer((request) => request.resume().once('end', () => (count += 1)));
  const port = await listenForTest(t, server);
  return { url: `http://127.0.0.1:${port}/v3`, countRequests: () => count };
}

const SIGNALS = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 'SIGSYS'] as const;

/** System calls that start a program, connect or send, and those that open a file for writing. */
const CALLS = 'trace=execve,connect,sendto,sendmsg,open,openat,creat,rename';
const STARTS_OR_SENDS = /execve\(|connect\(|sendto\(|sendmsg\(/;
const WRITES_A_FILE = /creat\(|rename\(|O_CREAT|O_WRONLY|O_RDWR/;

await t.test(
  'a signal makes the executable print no argument and no variable, and it starts, sends and writes nothing',
  { skip: withStrace },
  async (t) => {
    const { url, countRequests } = await startSilentServer(t);
    const settings = makeLoginSettings(url);
    for (const signal of SIGNALS) {
      const home = makeTestHome(t);
      const folder = t.testdir({ cwd: {} });
      const [cwd, trace] = [join(folder, 'cwd'), join(folder, 'trace')];
      const plugin = [PLUGIN_PATH, '--os-username', USER];
      const env = makeEnvironment(home, { ...settings, OS_USERNAME: undefined, BUN_ENABLE_CRASH_REPORTING: '1' });
      const [file, args, options] = makeIsolatedCommand('strace', ['-f', '-e', CALLS, '-o', trace, ...plugin], env);
      const requestsBefore = countRequests();
      const child = spawn(file, args, { ...options, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
      const output: string[] = [];
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => output.push(chunk.toString()));
      const readTrace = (): string => (existsSync(trace) ? readFileSync(trace, 'utf8') : '');
      // The plugin then waits for an answer, so that it has nothing more to send.
      await waitUntil('a request', () => countRequests() > requestsBefore);
      process.kill(Number(/^\d+/.exec(readTrace())?.[0]), signal);
      await once(child, 'close');
      const [before = '', ...parts] = readTrace().split(`--- ${signal}`);
      const after = parts.join('');
      t.match(before, STARTS_OR_SENDS, `${signal}: the trace shows what is started`);
      t.match(after, /killed by SIG/, `${signal}: it ends`);
      t.notMatch(after, STARTS_OR_SENDS, `${signal}: nothing is started or sent`);
      t.notMatch(after, WRITES_A_FILE, `${signal}: nothing is written`);
      t.strictSame(readdirSync(cwd), [], `${signal}: no file is in the current folder`);
      const printed = output.join('');
      for (const secret of [USER, PASSWORD, settings['OS_AUTH_URL'] ?? '', home.path])
        t.notOk(printed.includes(secret), `${signal}: the output does not contain it`);
    }
  },
);
