/**
 * Makes one single executable: a Node of the target, and in it a main script of ours and everything else as assets. Node's
 * own format (`node --experimental-sea-config`), put in place by postject, which Node's documentation names.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { fetchPackageFile, readLockedPackage } from '../../lib/npm-package.ts';
import { compiledAssetName } from '../../../src/plugin/packaged/bundle-format.ts';
import { scrubEnvNames } from './scrub-env-names.ts';
import { EAGER_FLAGS, overwriteCodeFlags } from './code-cache.ts';
import { dropLocalSymbols } from './mach-o-symbols.ts';
import { signAdHoc } from './mach-o.ts';
import { removeSignature } from './pe.ts';
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from '../product.ts';
import { disableRehashing } from './snapshot.ts';
import { disableSourcePositions } from './source-positions.ts';
import { executablePath, isHost } from '../targets.ts';
import type { Target } from '../targets.ts';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** What the loader in src/plugin/packaged/bundles.ts calls it. */
const KEYRING_ASSET = 'keyring.node';

/** One of our programs as an executable. */
export interface Program {
  readonly name: string;
  /** Its main script. */
  readonly main: string;
  /** Files in `dist` that it carries. */
  readonly bundles: readonly string[];
  /** Whether it carries the keyring's native part. */
  readonly hasKeyring: boolean;
  /**
   * Whether it is started on every command of kubectl and over in a moment: then its code is carried compiled, and V8 keeps
   * the seed of its hash tables, which is nothing for what talks to strangers for months.
   */
  readonly isShortLived: boolean;
  /** Options of the Node inside. It takes no others: not from NODE_OPTIONS, and all arguments are ours. */
  readonly execArgv: readonly string[];
}

/** Of every program. */
const QUIET = [
  // No thread that waits for a signal to open a debugger.
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];

const PLUGIN_ARGV = [
  // None of V8's own: it would take no compiled code any more, not even Node's own.
  // Threads that a short run never uses.
  '--v8-pool-size=0',
  // No thread that reads the hundred and more authorities that come with Node, a twelfth of a login. Each connection is
  // told its own, see src/shared/http/http-client.ts; those of Node are read when they are among them.
  '--use-openssl-ca',
  ...QUIET,
];

const COMPILER = resolve('scripts/package/node-binary/code-cache.ts');

/** The plugin: its hit path, and what else it needs in the bundles that it carries. */
export function describePlugin(bundles: readonly string[]): Program {
  return {
    name: PROGRAM_NAME,
    main: 'out/executable.cjs',
    bundles,
    hasKeyring: true,
    isShortLived: true,
    execArgv: PLUGIN_ARGV,
  };
}

/** The webhook, in one bundle. */
export const WEBHOOK_PROGRAM: Program = {
  name: WEBHOOK_PROGRAM_NAME,
  main: 'out/k8s-keystone-auth.cjs',
  bundles: [],
  hasKeyring: false,
  isShortLived: false,
  // It lives for months in a container that has 256 MB.
  execArgv: ['--max-old-space-size=160', ...QUIET],
};

const run = promisify(execFile);

async function fetchAddon(name: string): Promise<Buffer> {
  const { main } = JSON.parse((await fetchPackageFile(name, 'package.json')).toString()) as { main: string };
  return fetchPackageFile(name, main);
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
async function makeBlob(target: Target, program: Program, staging: string): Promise<void> {
  const { main, bundles, hasKeyring, isShortLived, execArgv } = program;
  await copyFile(main, join(staging, 'main.cjs'));
  for (const name of bundles) await copyFile(join('dist', name), join(staging, name));
  if (hasKeyring) await writeFile(join(staging, KEYRING_ASSET), await fetchAddon(target.keyringPackage));
  const compiled = isShortLived && isHost(target);
  if (compiled)
    await runNode([...EAGER_FLAGS, '--disable-warning=ExperimentalWarning'], [COMPILER, ...bundles], staging);
  const code = compiled ? bundles.map(compiledAssetName) : [];
  const assets = [...bundles, ...code, ...(hasKeyring ? [KEYRING_ASSET] : [])].toSorted();
  const config = {
    main: 'main.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    // Slower by 28 million instructions: it is copied, whole, with the code of all of Node that it holds.
    useSnapshot: false,
    useCodeCache: compiled,
    execArgv,
    execArgvExtension: 'none',
    assets: Object.fromEntries(assets.map((name) => [name, name])),
  };
  await writeFile(join(staging, 'sea.json'), JSON.stringify(config));
  await runNode(compiled ? EAGER_FLAGS : [], ['--experimental-sea-config', 'sea.json'], staging);
  if (!compiled) return;
  const blob = await readFile(join(staging, 'blob'));
  overwriteCodeFlags(blob);
  await writeFile(join(staging, 'blob'), blob);
}

/** What became of a target. */
export interface BuiltExecutable {
  readonly path: string;
  /** What should be known about it. */
  readonly notes: readonly string[];
}

/** Makes the executable of a program for a target. */
export async function makeExecutable(target: Target, program: Program): Promise<BuiltExecutable> {
  const { version } = await readLockedPackage(target.nodePackage);
  // A blob can only be read by the version that wrote it.
  if (process.version !== `v${version}`) throw new Error(`made by Node ${process.version}, but ${version} is embedded`);
  const path = executablePath(target, program.name);
  const notes: string[] = [];
  await mkdir(dirname(path), { recursive: true });
  const staging = await mkdtemp(join(dirname(path), '.making-'));
  try {
    await makeBlob(target, program, staging);
    const file = join(staging, 'node');
    await writeFile(file, await fetchPackageFile(target.nodePackage, target.nodeFile), { mode: 0o755 });
    if (target.strippers.length > 0) {
      const stripper = await strip(file, target.strippers);
      if (stripper === undefined) notes.push(`not stripped: there is none of ${target.strippers.join(', ')}`);
    }
    let node: Buffer = await readFile(file);
    if (target.format === 'pe') node = removeSignature(node);
    scrubEnvNames(node);
    if (program.isShortLived && target.hasNoSnapshot !== true) disableRehashing(node, process.versions.v8);
    if (program.isShortLived && target.format === 'elf') disableSourcePositions(node);
    await writeFile(file, node);
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
    await writeFile(file, target.format === 'mach-o' ? signAdHoc(dropLocalSymbols(injected), program.name) : injected);
    // Not in place: one that runs cannot be written to.
    await rm(path, { force: true });
    await copyFile(file, path);
    return { path, notes };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
