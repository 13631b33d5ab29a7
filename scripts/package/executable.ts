/**
 * Makes one single executable: a Node of the target, and in it our hit path as its main script and everything else as
 * assets. Node's own format (`node --experimental-sea-config`), put in place by postject, which Node's documentation names.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { fetchMember, readLocked } from '../npm-package.ts';
import { codeOf } from '../../src/packaged/bundle-form.ts';
import { blind } from './blind.ts';
import { EAGER, takeFlagsOff } from './code-cache.ts';
import { dropLocalSymbols } from './mach-o-symbols.ts';
import { signAdHoc } from './mach-o.ts';
import { removeSignature } from './pe.ts';
import { keepSeed } from './snapshot.ts';
import { executableOf, isHost } from './targets.ts';
import type { Target } from './targets.ts';

const IDENTIFIER = 'client-keystone-auth';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** What the loader in src/packaged/assets.ts calls it. */
const KEYRING_ASSET = 'keyring.node';

/** Options of the Node inside. It takes no others: not from NODE_OPTIONS, and all arguments are ours. */
const EXEC_ARGV = [
  // None of V8's own: it would take no compiled code any more, not even Node's own.
  // Threads that a short run never uses.
  '--v8-pool-size=0',
  // No thread that waits for a signal to open a debugger.
  '--disable-sigusr1',
  // No thread that reads the hundred and more authorities that come with Node, a twelfth of a login. Each connection is
  // told its own, see src/keystone/http.ts; those of Node are read when they are among them.
  '--use-openssl-ca',
  '--disable-warning=ExperimentalWarning',
];

const COMPILER = resolve('scripts/package/code-cache.ts');

const run = promisify(execFile);

async function fetchAddon(name: string): Promise<Buffer> {
  const { main } = JSON.parse((await fetchMember(name, 'package.json')).toString()) as { main: string };
  return fetchMember(name, main);
}

/** Before anything is put in: afterwards it would lose that. Returns the program that did it. */
async function strip(file: string, strippers: readonly string[]): Promise<string | undefined> {
  for (const stripper of strippers) {
    try {
      await run(stripper, [file]);
      return stripper;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  return undefined;
}

/** NODE_OPTIONS could say how code is compiled. */
async function runNode(flags: readonly string[], words: readonly string[], cwd: string): Promise<void> {
  await run(process.execPath, [...flags, ...words], { cwd, env: { ...process.env, NODE_OPTIONS: '' } });
}

/**
 * Puts main script and assets into one blob. Paths are relative, since Node writes that of the script into it. Code is
 * compiled for the platform that it is compiled on only.
 */
async function makeBlob(target: Target, bundles: readonly string[], staging: string): Promise<void> {
  await copyFile('out/executable.cjs', join(staging, 'main.cjs'));
  for (const name of bundles) await copyFile(join('dist', name), join(staging, name));
  await writeFile(join(staging, KEYRING_ASSET), await fetchAddon(target.keyring));
  const compiled = isHost(target);
  if (compiled) await runNode([EAGER, '--disable-warning=ExperimentalWarning'], [COMPILER, ...bundles], staging);
  const code = compiled ? bundles.map(codeOf) : [];
  const assets = [...bundles, ...code, KEYRING_ASSET].toSorted();
  const config = {
    main: 'main.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    // Slower by 28 million instructions: it is copied, whole, with the code of all of Node that it holds.
    useSnapshot: false,
    useCodeCache: compiled,
    execArgv: EXEC_ARGV,
    execArgvExtension: 'none',
    assets: Object.fromEntries(assets.map((name) => [name, name])),
  };
  await writeFile(join(staging, 'sea.json'), JSON.stringify(config));
  await runNode(compiled ? [EAGER] : [], ['--experimental-sea-config', 'sea.json'], staging);
  if (!compiled) return;
  const blob = await readFile(join(staging, 'blob'));
  takeFlagsOff(blob);
  await writeFile(join(staging, 'blob'), blob);
}

/** What became of a target. */
export interface Made {
  readonly path: string;
  /** What should be known about it. */
  readonly notes: readonly string[];
}

/**
 * Makes the executable of a target.
 *
 * @param bundles files in `dist` that it carries
 */
export async function makeExecutable(target: Target, bundles: readonly string[]): Promise<Made> {
  const { version } = await readLocked(target.node);
  // A blob can only be read by the version that wrote it.
  if (process.version !== `v${version}`) throw new Error(`made by Node ${process.version}, but ${version} is embedded`);
  const path = executableOf(target);
  const notes: string[] = [];
  await mkdir(dirname(path), { recursive: true });
  const staging = await mkdtemp(join(dirname(path), '.making-'));
  try {
    await makeBlob(target, bundles, staging);
    const file = join(staging, 'program');
    await writeFile(file, await fetchMember(target.node, target.program), { mode: 0o755 });
    if (target.strippers.length > 0) {
      const stripper = await strip(file, target.strippers);
      if (stripper === undefined) notes.push(`not stripped: there is none of ${target.strippers.join(', ')}`);
    }
    let program: Buffer = await readFile(file);
    if (target.format === 'pe') program = removeSignature(program);
    blind(program);
    keepSeed(program, process.versions.v8);
    await writeFile(file, program);
    const postject = resolve('node_modules/postject/dist/cli.js');
    const segment = target.format === 'mach-o' ? ['--macho-segment-name', 'NODE_SEA'] : [];
    await run(process.execPath, [
      postject,
      file,
      'NODE_SEA_BLOB',
      join(staging, 'blob'),
      '--sentinel-fuse',
      FUSE,
      ...segment,
    ]);
    const injected = await readFile(file);
    await writeFile(file, target.format === 'mach-o' ? signAdHoc(dropLocalSymbols(injected), IDENTIFIER) : injected);
    // Not in place: one that runs cannot be written to.
    await rm(path, { force: true });
    await copyFile(file, path);
    return { path, notes };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
