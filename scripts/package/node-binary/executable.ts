/**
 * Makes a single executable: a Node of the target with a main script and everything else as assets. Source: Node's
 * documentation, "Single executable applications" (`node --experimental-sea-config` makes the blob, postject injects
 * it).
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { fetchPackageFile, readLockedPackage } from '../../lib/npm-package.ts';
import { scrubEnvNames } from './scrub-env-names.ts';
import { fetchAddon } from '../keyring-addon.ts';
import type { BuiltExecutable } from '../keyring-addon.ts';
import { PROGRAM_NAME, WEBHOOK_PROGRAM_NAME } from '../product.ts';
import { requireNode } from '../runtimes.ts';
import { signAdHoc } from '../signatures/mach-o.ts';
import { removeSignature } from '../signatures/pe.ts';
import { executablePath } from '../targets.ts';
import type { Target } from '../targets.ts';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** The name that src/plugin/packaged/node/bundles.ts loads. */
const KEYRING_ASSET = 'keyring.node';

/** A program to make an executable of. */
export interface Program {
  readonly name: string;
  /** Path of the main script. */
  readonly main: string;
  /** Files in `dist` that it contains. */
  readonly bundles: readonly string[];
  /** Whether it contains the native part of the keyring. */
  readonly hasKeyring: boolean;
  /** The Node options. Node takes no others: it ignores NODE_OPTIONS, and all arguments belong to the program. */
  readonly execArgv: readonly string[];
}

/** Node options of every program. */
const COMMON_ARGV = [
  // Starts no thread that waits for a signal to open a debugger.
  '--disable-sigusr1',
  '--disable-warning=ExperimentalWarning',
];

const PLUGIN_ARGV = [
  // V8's own flags must stay out: with most of them, V8 rejects the compiled code that Node carries.
  // Starts no worker threads, which a short run never uses.
  '--v8-pool-size=0',
  // Starts no thread that parses Node's own list of CAs, which takes a twelfth of a login. Each connection gets its CAs
  // explicitly (src/shared/http/http-client.ts).
  '--use-openssl-ca',
  ...COMMON_ARGV,
];

/** Describes the plugin: the fast path as the main script, everything else in bundles. */
export function describePlugin(bundles: readonly string[]): Program {
  return {
    name: PROGRAM_NAME,
    main: 'out/executable.cjs',
    bundles,
    hasKeyring: true,
    execArgv: PLUGIN_ARGV,
  };
}

/** The webhook, in one bundle. */
export const WEBHOOK_PROGRAM: Program = {
  name: WEBHOOK_PROGRAM_NAME,
  main: 'out/k8s-keystone-auth.cjs',
  bundles: [],
  hasKeyring: false,
  // It runs for months in a container with 256 MB. The image has the same limits. With less room for young objects, V8
  // gives memory back sooner; what a review leaves behind is small.
  execArgv: ['--max-old-space-size=160', '--max-semi-space-size=2', ...COMMON_ARGV],
};

const run = promisify(execFile);

/**
 * Strips a file before the blob is injected, because stripping would remove the blob.
 *
 * @returns the program that stripped it; undefined when none is installed
 */
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

/**
 * Makes the blob of main script and assets. Paths are relative, because Node writes the path of the script into the
 * blob.
 */
async function makeBlob(target: Target, program: Program, staging: string): Promise<void> {
  const { main, bundles, hasKeyring, execArgv } = program;
  await copyFile(main, join(staging, 'main.cjs'));
  for (const name of bundles) await copyFile(join('dist', name), join(staging, name));
  if (hasKeyring) await writeFile(join(staging, KEYRING_ASSET), await fetchAddon(target.keyringPackage));
  const assets = [...bundles, ...(hasKeyring ? [KEYRING_ASSET] : [])].toSorted();
  const config = {
    main: 'main.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    // A snapshot costs 28 million instructions, because all of it is copied, including the code of Node.
    useSnapshot: false,
    // Compiled code fits the platform that builds only, for which the published plugin is on Bun.
    useCodeCache: false,
    execArgv,
    execArgvExtension: 'none',
    assets: Object.fromEntries(assets.map((name) => [name, name])),
  };
  await writeFile(join(staging, 'sea.json'), JSON.stringify(config));
  await run(process.execPath, ['--experimental-sea-config', 'sea.json'], { cwd: staging });
}

/**
 * Makes the executable of a program for a target.
 *
 * @throws Error when the running Node has another version than the embedded one
 */
export async function makeExecutable(target: Target, program: Program): Promise<BuiltExecutable> {
  const source = requireNode(target);
  const { version } = await readLockedPackage(source.name);
  // Only the version of Node that wrote a blob can read it.
  if (process.version !== `v${version}`)
    throw new Error(
      `this is Node ${process.version}, but Node ${version} is embedded; run this with scripts/setup.mjs`,
    );
  const path = executablePath(target, program.name);
  const notes: string[] = [];
  await mkdir(dirname(path), { recursive: true });
  const staging = await mkdtemp(join(dirname(path), '.making-'));
  try {
    await makeBlob(target, program, staging);
    const file = join(staging, 'node');
    await writeFile(file, await fetchPackageFile(source.name, source.file), { mode: 0o755 });
    if (target.strippers.length > 0) {
      const stripper = await strip(file, target.strippers);
      if (stripper === undefined) notes.push(`not stripped: install one of ${target.strippers.join(', ')}`);
    }
    let node: Buffer = await readFile(file);
    if (target.format === 'pe') node = removeSignature(node);
    scrubEnvNames(node);
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
    await writeFile(file, target.format === 'mach-o' ? signAdHoc(injected, program.name) : injected);
    // A running executable cannot be overwritten.
    await rm(path, { force: true });
    await copyFile(file, path);
    return { path, notes };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
