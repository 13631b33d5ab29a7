// kubectl waits for the plugin in each command, so a cache hit must be fast and depend on nothing else: no network, no
// files but three of the plugin's own, no modules but Node's own. The system calls show that, unlike the bundle's size.

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { isReliableStamp, stampFile } from '../../src/shared/base/file-stamp.ts';
import { makePki } from '../../scripts/lib/pki.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import { NODE_COMMAND } from '../support/built-programs.ts';
import { PACKAGED_EXECUTABLE, PLUGIN_COMMAND, PLUGIN_PATH, RUNTIME } from '../support/run-plugin.ts';
import { makeEnvironment, makeExecInfo, makeHome } from '../support/home.ts';
import { makeIsolatedCommand } from '../support/run-plugin.ts';
import type { Home } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { waitUntil } from '../support/wait-until.ts';

const run = promisify(execFile);

/** Made once, and early, so that the files are old when they are used. */
const pkiOfAllTests = makePki(join(t.testdir(), 'pki'));

const SLOW = join(dirname(PLUGIN_PATH), 'slow.cjs');

/** Built into Node, but slow to load or useless for a cache hit. */
const SLOW_BUILTINS = /^NativeModule (?:_http_|_tls_|http|https|http2|tls|net|dns|dgram|crypto|child_process|readline)/;

interface FastPathFixture {
  readonly home: Home;
  readonly standIn: StandInKeystone;
  readonly env: Record<string, string>;
  readonly printed: string;
  /** The CA certificate, which a cache hit must not read. */
  readonly ca: string;
}

/**
 * Logs in, so that the next run with these settings is a cache hit. The login has its own parent process: a second run
 * of the same kubectl would validate the token.
 */
async function setUpFastPath(t: Test, settings: Readonly<Record<string, string>>): Promise<FastPathFixture> {
  const home = makeHome();
  t.teardown(() => home.remove());
  const pki = await pkiOfAllTests;
  // The fast path does not trust a file that was written a moment ago.
  const files = [pki.ca, settings['OS_CLIENT_CONFIG_FILE'] ?? pki.ca];
  await waitUntil('old files', () => files.every((file) => isReliableStamp(stampFile(file), Date.now())));
  const standIn = await startKeystoneForTest(t, { tls: pki.server });
  // A compile cache is a file of Node, and not of the plugin.
  const withoutCompileCache = { NODE_COMPILE_CACHE: undefined };
  const env = { ...withoutCompileCache, ...settings, ...makeLoginSettings(`${standIn.url}/v3`), OS_CACERT: pki.ca };
  const [file, args, options] = makeIsolatedCommand(
    '/bin/sh',
    ['-c', '"$0" "$@"; :', ...PLUGIN_COMMAND],
    makeEnvironment(home, env),
  );
  const first = await run(file, args, { ...options, cwd: home.path });
  t.equal(first.stderr, '');
  t.equal(standIn.requests.length, 1);
  return { home, standIn, env: makeEnvironment(home, env), printed: first.stdout, ca: pki.ca };
}

interface Trace {
  readonly stdout: string;
  /** System calls for sockets, one line each. */
  readonly network: readonly string[];
  /** The files that it opened or tried to open, with the flags. */
  readonly opened: ReadonlyMap<string, string>;
}

async function trace({ home, env }: FastPathFixture, program: readonly string[]): Promise<Trace> {
  const file = join(home.path, 'trace');
  const calls = ['-f', '-y', '-e', 'trace=network,open,openat,openat2,creat', '-s', '4096', '-o', file];
  const [command, args, options] = makeIsolatedCommand('strace', [...calls, ...program], env);
  const { stdout } = await run(command, args, { ...options, cwd: home.path });
  const network: string[] = [];
  const opened = new Map<string, string>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, name, rest = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const [, path, flags = ''] = /"([^"]*)",? ?([A-Z_|]*)/.exec(rest) ?? [];
    // Node inspects stdin, stdout and stderr.
    if (/^getsock(?:name|opt)$/.test(name)) continue;
    if (name !== 'creat' && !name.startsWith('open')) network.push(line);
    // Replace the pid in /proc paths.
    else if (path !== undefined)
      opened.set(path.replace(/^\/proc\/\d+\//, '/proc/self/'), name === 'creat' ? name : flags);
  }
  return { stdout, network, opened };
}

/** What Bun reads about the memory and the processors of the machine at each start. */
const FILES_OF_BUN = [
  '/proc/self/statm',
  '/proc/sys/vm/mmap_min_addr',
  '/proc/sys/vm/overcommit_memory',
  '/sys/devices/system/cpu/online',
  '/sys/fs/cgroup/cpu//cpu.cfs_quota_us',
  '/sys/kernel/mm/transparent_hugepage/enabled',
];

const withoutKubectl = {};
/** A cloud whose settings are overridden, so that the run reads the file and still logs in. */
function byCloud(t: Test): Readonly<Record<string, string>> {
  const folder = makeHome();
  t.teardown(() => folder.remove());
  const file = join(folder.path, 'mine.yaml');
  writeFileSync(file, 'clouds: {c: {auth: {username: nobody}}}');
  return { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: file };
}
const byKubectl = { KUBERNETES_EXEC_INFO: makeExecInfo({ cluster: { server: 'https://127.0.0.1:6443' } }) };

await t.test(
  'a cache hit opens no socket and only its own files',
  { skip: skipWithout('strace', () => canRun('strace', '-V')) },
  async (t) => {
    await t.test('without kubectl it reads two files', (t) => checkHit(t, withoutKubectl, /\.(?:alias|token)$/, 2));
    await t.test('with a cloud it reads two files', (t) => checkHit(t, byCloud(t), /\.(?:alias|token)$/, 2));
    await t.test('for kubectl it also opens the list of handed-out tokens', (t) =>
      checkHit(t, byKubectl, /^handed-out$|\.(?:alias|token)$/, 3),
    );
  },
);

async function checkHit(
  t: Test,
  settings: Readonly<Record<string, string>>,
  own: RegExp,
  count: number,
): Promise<void> {
  const fixture = await setUpFastPath(t, settings);
  const { home, standIn, printed, ca } = fixture;
  const nothing = join(home.path, 'nothing.cjs');
  // Node looks up the time zone for the first Date.
  writeFileSync(nothing, 'new Date(0).toISOString();');
  const bare = await trace(fixture, [...NODE_COMMAND, nothing]);
  const hit = await trace(fixture, PLUGIN_COMMAND);
  t.equal(hit.stdout, printed, 'it is a cache hit');
  t.strictSame(hit.network, [], 'no socket');

  const ours = readdirSync(home.cache)
    .filter((name) => own.test(name))
    .map((name) => join(home.cache, name));
  t.equal(ours.length, count, 'the number of files');
  // If the heap is too far from its built-in code, V8 maps a copy of that code from Node's own file.
  const expectedFiles = [PLUGIN_PATH, process.execPath, ...(RUNTIME === 'bun' ? FILES_OF_BUN : [])];
  const added = [...hit.opened.keys()].filter((path) => !bare.opened.has(path) && !expectedFiles.includes(path));
  const parent = 'KUBERNETES_EXEC_INFO' in settings ? ['/proc/self/stat'] : [];
  t.strictSame(added.toSorted(), [...ours, ...parent].toSorted(), 'only the expected files');
  for (const path of ours.filter((path) => !path.endsWith('handed-out'))) {
    t.match(hit.opened.get(path), /^O_RDONLY\|/, 'read only');
  }
  t.notOk(hit.opened.has(ca), 'the CA file is not opened');
  t.notOk(hit.opened.has(SLOW));
  t.equal(standIn.requests.length, 1, 'no further request was sent');
  const discarded = await trace(fixture, ['/bin/sh', '-c', 'exec "$0" "$@" >/dev/null', ...PLUGIN_COMMAND]);
  t.notOk(discarded.opened.has(SLOW), 'nor does a hit load more if its output is discarded');

  // The same trace shows what a cache miss does.
  const miss = await trace({ ...fixture, env: { ...fixture.env, OS_PROJECT_NAME: 'nothing' } }, PLUGIN_COMMAND).catch(
    (error: unknown) => error,
  );
  t.match(miss, Error, 'Keystone refuses the cache miss');
  const calls = readFileSync(join(home.path, 'trace'), 'utf8');
  if (!('OS_CLOUD' in settings)) t.notMatch(calls, /(?:clouds|secure)\.ya?ml/, 'clouds.yaml is not searched');
  t.match(calls, /connect\(/);
  // A single executable contains slow.cjs.
  if (PACKAGED_EXECUTABLE === undefined) t.match(calls, 'slow.cjs');
}

interface Loaded {
  readonly result: RunResult;
  readonly files: readonly string[];
  readonly builtins: readonly string[];
}

/** Runs a program with a preloaded script that records, at the end, which modules were loaded. */
async function load({ home, env }: FastPathFixture, program: string): Promise<Loaded> {
  const recorder = join(home.path, 'recorder.cjs');
  const notes = join(home.path, 'notes');
  writeFileSync(
    recorder,
    `const { writeFileSync } = require('node:fs');
process.on('exit', () => {
  const files = Object.keys(require.cache).filter((file) => file !== __filename);
  writeFileSync(${JSON.stringify(notes)}, JSON.stringify({ files, builtins: process.moduleLoadList }));
});
`,
  );
  const [command, args, options] = makeIsolatedCommand(process.execPath, ['--require', recorder, program], env);
  const result = await run(command, args, { ...options, cwd: home.path }).then(
    ({ stdout, stderr }) => ({ status: 0, signal: null, stdout, stderr }),
    () => ({ status: 1, signal: null, stdout: '', stderr: '' }),
  );
  const { files, builtins } = JSON.parse(readFileSync(notes, 'utf8')) as { files: string[]; builtins: string[] };
  return { result, files, builtins };
}

const skipRecorder =
  PACKAGED_EXECUTABLE === undefined
    ? false
    : 'a single executable cannot preload a script; the system calls must suffice';

await t.test('a cache hit loads one file and no slow module', { skip: skipRecorder }, async (t) => {
  await t.test('without kubectl, it loads one file', (t) => checkLoaded(t, withoutKubectl));
  await t.test('with a cloud, it loads one file', (t) => checkLoaded(t, byCloud(t)));
  await t.test('for kubectl, it loads one file', (t) => checkLoaded(t, byKubectl));
});

async function checkLoaded(t: Test, settings: Readonly<Record<string, string>>): Promise<void> {
  const fixture = await setUpFastPath(t, settings);
  const nothing = join(fixture.home.path, 'nothing.cjs');
  writeFileSync(nothing, '');
  const bare = await load(fixture, nothing);
  t.strictSame(bare.files, [nothing]);
  const hit = await load(fixture, PLUGIN_PATH);
  t.equal(hit.result.stdout, fixture.printed, 'it is a cache hit');
  t.strictSame(hit.files, [PLUGIN_PATH], 'one file');
  const added = hit.builtins.filter((name) => !bare.builtins.includes(name));
  t.strictSame(
    added.filter((name) => SLOW_BUILTINS.test(name)),
    [],
    `Node's own modules: ${added.join(', ')}`,
  );

  // The same script records what a cache miss loads.
  const miss = await load({ ...fixture, env: { ...fixture.env, OS_USERNAME: '' } }, PLUGIN_PATH);
  t.not(miss.result.status, 0);
  t.ok(miss.files.includes(SLOW));
  const parses = miss.files.some((file) => file.endsWith('yaml.cjs'));
  t.equal(parses, 'OS_CLOUD' in settings, 'only a run with a clouds.yaml loads the YAML parser');
  t.ok(miss.builtins.some((name) => SLOW_BUILTINS.test(name)));
  t.notOk(miss.builtins.includes('NativeModule child_process'), 'a run that starts no program loads nothing for it');
}
