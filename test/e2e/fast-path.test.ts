// kubectl waits for the plugin before each command, so a hit must cost next to nothing and depend on nothing: no network,
// no file but our three, no module beyond Node's own. The bundle's size tells little of that; the system calls tell all.

import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';
import {
  makeIsolatedCommand,
  PLUGIN_COMMAND,
  makeExecInfo,
  makeEnvironment,
  makeHome,
  PACKAGED_EXECUTABLE,
  PLUGIN_PATH,
} from '../support/run-plugin.ts';
import type { Home, RunResult } from '../support/run-plugin.ts';

const run = promisify(execFile);

const SLOW = join(dirname(PLUGIN_PATH), 'slow.cjs');

/** Built into Node, but slow to load or of no use where nothing is asked. */
const SLOW_BUILTINS = /^NativeModule (?:_http_|_tls_|http|https|http2|tls|net|dns|dgram|crypto|child_process|readline)/;

interface FastPathFixture {
  readonly home: Home;
  readonly standIn: StandInKeystone;
  readonly env: Record<string, string>;
  readonly printed: string;
  /** The certificate of the authority, which a hit must not read. */
  readonly ca: string;
}

/**
 * Logs in, so that the next run with these settings is a hit: unless the same kubectl asks, which is why the run that
 * logs in is given a parent of its own.
 */
async function setUpFastPath(t: Test, settings: Readonly<Record<string, string>>): Promise<FastPathFixture> {
  const home = makeHome();
  t.teardown(() => home.remove());
  const pki = await makePki(join(t.testdir(), 'pki'));
  const standIn = await startKeystoneForTest(t, { tls: pki.server });
  const env = { ...settings, ...makeLoginSettings(`${standIn.url}/v3`), OS_CACERT: pki.ca };
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

function requireStrace(): string | false {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return false;
  } catch {
    if (/^(?:true|1)$/.test(process.env['CI'] ?? '')) throw new Error('CI must look at the system calls: no strace');
    return 'no strace here';
  }
}

interface Trace {
  readonly stdout: string;
  /** Calls that make or use sockets, one line each. */
  readonly network: readonly string[];
  /** Files opened, or tried to be, with the flags. */
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
    // Node asks what its stdin, stdout and stderr are.
    if (/^getsock(?:name|opt)$/.test(name)) continue;
    if (name !== 'creat' && !name.startsWith('open')) network.push(line);
    // A process has the same files under /proc whatever its number.
    else if (path !== undefined)
      opened.set(path.replace(/^\/proc\/\d+\//, '/proc/self/'), name === 'creat' ? name : flags);
  }
  return { stdout, network, opened };
}

const byHand = {};
/** A cloud whose settings are overridden, so that the run reads the file and logs in all the same. */
function byCloud(t: Test): Readonly<Record<string, string>> {
  const folder = makeHome();
  t.teardown(() => folder.remove());
  const file = join(folder.path, 'mine.yaml');
  writeFileSync(file, 'clouds: {c: {auth: {username: nobody}}}');
  return { OS_CLOUD: 'c', OS_CLIENT_CONFIG_FILE: file };
}
const byKubectl = { KUBERNETES_EXEC_INFO: makeExecInfo({ cluster: { server: 'https://127.0.0.1:6443' } }) };

await t.test('a hit opens no socket and its own files only', { skip: requireStrace() }, async (t) => {
  await t.test('by hand: two, to read', (t) => checkHit(t, byHand, /\.(?:alias|token)$/, 2));
  await t.test('with a cloud: no more', (t) => checkHit(t, byCloud(t), /\.(?:alias|token)$/, 2));
  await t.test('for kubectl: the note of what it was given too', (t) =>
    checkHit(t, byKubectl, /^handed-out$|\.(?:alias|token)$/, 3),
  );
});

async function checkHit(
  t: Test,
  settings: Readonly<Record<string, string>>,
  own: RegExp,
  count: number,
): Promise<void> {
  const prepared = await setUpFastPath(t, settings);
  const { home, standIn, printed, ca } = prepared;
  const nothing = join(home.path, 'nothing.cjs');
  // Which time zone this is, Node looks up for the first Date; who asks, everybody may look up in /proc.
  writeFileSync(nothing, 'new Date(0).toISOString();');
  const bare = await trace(prepared, [process.execPath, nothing]);
  const hit = await trace(prepared, PLUGIN_COMMAND);
  t.equal(hit.stdout, printed, 'it is a hit');
  t.strictSame(hit.network, [], 'no socket');

  const ours = readdirSync(home.cache)
    .filter((name) => own.test(name))
    .map((name) => join(home.cache, name));
  t.equal(ours.length, count, 'what leads to a record, and the record');
  // Where chance puts V8's heap far from its own code, V8 maps a copy of that out of Node's file.
  const known = [PLUGIN_PATH, process.execPath];
  const added = [...hit.opened.keys()].filter((path) => !bare.opened.has(path) && !known.includes(path));
  const parent = 'KUBERNETES_EXEC_INFO' in settings ? ['/proc/self/stat'] : [];
  t.strictSame(added.toSorted(), [...ours, ...parent].toSorted(), 'our files and none besides');
  for (const path of ours.filter((path) => !path.endsWith('handed-out'))) {
    t.match(hit.opened.get(path), /^O_RDONLY\|/, 'read only');
  }
  t.notOk(hit.opened.has(ca), 'the authority is only looked at from outside');
  t.notOk(hit.opened.has(SLOW));
  t.equal(standIn.requests.length, 1, 'nobody was asked again');

  // The same eyes see what a miss does.
  const miss = await trace({ ...prepared, env: { ...prepared.env, OS_PROJECT_NAME: 'nothing' } }, PLUGIN_COMMAND).catch(
    (error: unknown) => error,
  );
  t.match(miss, Error, 'a miss is refused');
  const seen = readFileSync(join(home.path, 'trace'), 'utf8');
  if (!('OS_CLOUD' in settings)) t.notMatch(seen, /(?:clouds|secure)\.ya?ml/, 'no cloud is looked for');
  t.match(seen, /connect\(/);
  // An executable has it inside.
  if (PACKAGED_EXECUTABLE === undefined) t.match(seen, 'slow.cjs');
}

interface Loaded {
  readonly ran: RunResult;
  readonly files: readonly string[];
  readonly builtins: readonly string[];
}

/** Runs a program with a witness that notes, at its end, what was loaded. */
async function load({ home, env }: FastPathFixture, program: string): Promise<Loaded> {
  const witness = join(home.path, 'witness.cjs');
  const notes = join(home.path, 'notes');
  writeFileSync(
    witness,
    `const { writeFileSync } = require('node:fs');
process.on('exit', () => {
  const files = Object.keys(require.cache).filter((file) => file !== __filename);
  writeFileSync(${JSON.stringify(notes)}, JSON.stringify({ files, builtins: process.moduleLoadList }));
});
`,
  );
  const [command, args, options] = makeIsolatedCommand(process.execPath, ['--require', witness, program], env);
  const ran = await run(command, args, { ...options, cwd: home.path }).then(
    ({ stdout, stderr }) => ({ status: 0, signal: null, stdout, stderr }),
    () => ({ status: 1, signal: null, stdout: '', stderr: '' }),
  );
  const { files, builtins } = JSON.parse(readFileSync(notes, 'utf8')) as { files: string[]; builtins: string[] };
  return { ran, files, builtins };
}

const noWitness =
  PACKAGED_EXECUTABLE === undefined ? false : 'an executable takes no witness in; the system calls have to do';

await t.test('a hit loads one file and nothing slow', { skip: noWitness }, async (t) => {
  await t.test('by hand', (t) => checkLoaded(t, byHand));
  await t.test('with a cloud', (t) => checkLoaded(t, byCloud(t)));
  await t.test('for kubectl', (t) => checkLoaded(t, byKubectl));
});

async function checkLoaded(t: Test, settings: Readonly<Record<string, string>>): Promise<void> {
  const prepared = await setUpFastPath(t, settings);
  const nothing = join(prepared.home.path, 'nothing.cjs');
  writeFileSync(nothing, '');
  const bare = await load(prepared, nothing);
  t.strictSame(bare.files, [nothing]);
  const hit = await load(prepared, PLUGIN_PATH);
  t.equal(hit.ran.stdout, prepared.printed, 'it is a hit');
  t.strictSame(hit.files, [PLUGIN_PATH], 'one file');
  const added = hit.builtins.filter((name) => !bare.builtins.includes(name));
  t.strictSame(
    added.filter((name) => SLOW_BUILTINS.test(name)),
    [],
    `of Node itself: ${added.join(', ')}`,
  );

  // The same witness sees what a miss loads.
  const miss = await load({ ...prepared, env: { ...prepared.env, OS_USERNAME: '' } }, PLUGIN_PATH);
  t.not(miss.ran.status, 0);
  t.ok(miss.files.includes(SLOW));
  const parses = miss.files.some((file) => file.endsWith('yaml.cjs'));
  t.equal(parses, 'OS_CLOUD' in settings, 'YAML is parsed by those only that have some');
  t.ok(miss.builtins.some((name) => SLOW_BUILTINS.test(name)));
}
