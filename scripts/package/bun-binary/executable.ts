/**
 * Makes a single executable of the plugin with Bun: the fast path, the other bundles, and the native part of the
 * keyring. Source: Bun's documentation, "Single-file executable".
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { fetchPackageFile } from '../../lib/npm-package.ts';
import { fetchAddon } from '../keyring-addon.ts';
import type { BuiltExecutable } from '../keyring-addon.ts';
import { removeMachOSignature, signAdHoc } from '../signatures/mach-o.ts';
import { removeSignature } from '../signatures/pe.ts';
import { PROGRAM_NAME } from '../product.ts';
import { executablePath, hostTarget } from '../targets.ts';
import type { BunSource, Target } from '../targets.ts';
import { scrubBunNames } from './scrub-bun-names.ts';
import { nameReasonOfCrash, silenceCrashReport } from './silence-crash-report.ts';

const MAIN = 'out/bun-executable.cjs';
const KEYRING_HELPER = { source: 'out/bun-keyring.cjs', name: 'keyring.cjs' };

/** The name that src/plugin/packaged/bun/keyring.ts reads. */
const KEYRING_ADDON = 'keyring.node';

const COMPILE_OPTIONS = [
  'build',
  '--compile',
  // Bun wraps each CommonJS module in a function, which runs when it is first required.
  '--format=cjs',
  '--bytecode',
  '--minify',
  // Compiles functions to machine code a hundred times later. A cache hit then starts no thread that compiles.
  '--compile-jit-policy=100',
  // Files in the current folder, which can belong to anybody, must not change what runs.
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
  '--no-compile-autoload-tsconfig',
  '--no-compile-autoload-package-json',
];

const run = promisify(execFile);

/** Returns the source of a bundle as it is compiled. */
type TransformBundle = (name: string, source: string) => string;

/**
 * Bun would replace `__filename` by the path of the build. In the executable, a bundle has a path that cannot exist,
 * because the executable is not a folder.
 */
function setFileName(name: string, source: string): string {
  return `const __filename = process.execPath + ${JSON.stringify(`/${name}`)};\n${source}`;
}

async function writeBundles(
  target: Target,
  bundles: readonly string[],
  folder: string,
  transform: TransformBundle,
): Promise<void> {
  await copyFile(MAIN, join(folder, 'main.cjs'));
  await copyFile(KEYRING_HELPER.source, join(folder, KEYRING_HELPER.name));
  for (const name of bundles.filter((each) => each !== KEYRING_HELPER.name)) {
    const source = transform(name, await readFile(join('dist', name), 'utf8'));
    await writeFile(join(folder, name), setFileName(name, source));
  }
  await writeFile(join(folder, KEYRING_ADDON), await fetchAddon(target.keyringPackage));
}

async function writeScrubbedBun({ name, file, system, processor }: BunSource, path: string): Promise<void> {
  const program = await fetchPackageFile(name, file);
  scrubBunNames(program, system, processor);
  silenceCrashReport(program, processor);
  if (system === 'linux') nameReasonOfCrash(program);
  await writeFile(path, system === 'windows' ? removeSignature(program) : program, { mode: 0o755 });
}

/** The format that Bun writes. The rest of the platform is that of the Bun that it compiles into. */
const getCompileTarget = ({ system, processor }: BunSource): string =>
  system === 'linux' ? 'bun' : `bun-${system}-${processor}`;

/** What a program consists of. */
interface ProgramFiles {
  /** Writes `main.cjs` and what it loads to a folder. */
  readonly write: (folder: string) => Promise<void>;
  /** Names of files in that folder that the program reads. */
  readonly assets: readonly string[];
}

/** Compiles a program to an executable. */
async function compile(target: Target, { write, assets }: ProgramFiles, path: string): Promise<void> {
  const [source, host] = [target.bun, hostTarget().bun];
  const staging = await mkdtemp(join(dirname(path), '.making-'));
  try {
    const [folder, compiler, runtime] = [join(staging, 'bundles'), join(staging, 'compiler'), join(staging, 'runtime')];
    await mkdir(folder);
    await write(folder);
    await writeScrubbedBun(source, runtime);
    await writeFile(compiler, await fetchPackageFile(host.name, host.file), { mode: 0o755 });
    const executable = [`--target=${getCompileTarget(source)}`, `--compile-executable-path=${resolve(runtime)}`];
    const options = [...COMPILE_OPTIONS, ...assets.map((name) => `--asset=${name}`), ...executable];
    const args = [...options, '--outfile', resolve(path)];
    // Its variables could change what it makes, and it keeps a cache in the home folder.
    const env = { PATH: process.env['PATH'], HOME: resolve(staging) };
    await run(resolve(compiler), [...args, './main.cjs'], { cwd: folder, env });
    // Bun signs programs for arm64 only, and leaves the signature of others as it was.
    if (target.format === 'mach-o')
      await writeFile(path, signAdHoc(removeMachOSignature(await readFile(path)), PROGRAM_NAME));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/**
 * Compiles bundles to an executable.
 *
 * @param bundles names of files in `dist`
 * @param path where to write it; its base name becomes part of it
 * @throws Error when Bun does not look as expected
 */
export async function compileWithBun(
  target: Target,
  bundles: readonly string[],
  path: string,
  transform: TransformBundle = (_name, source) => source,
): Promise<void> {
  const write = (folder: string): Promise<void> => writeBundles(target, bundles, folder, transform);
  await compile(target, { write, assets: [KEYRING_ADDON] }, path);
}

/**
 * Compiles one script as the plugin is compiled, to see what takes time in Bun itself.
 *
 * @param path as for {@link compileWithBun}
 */
export async function compileScriptWithBun(target: Target, script: string, path: string): Promise<void> {
  const write = (folder: string): Promise<void> => writeFile(join(folder, 'main.cjs'), script);
  await compile(target, { write, assets: [] }, path);
}

/**
 * Makes the executable of the plugin for a target.
 *
 * @param bundles names of the files in `dist` that it contains
 * @throws Error when Bun does not look as expected
 */
export async function makeBunExecutable(target: Target, bundles: readonly string[]): Promise<BuiltExecutable> {
  const path = executablePath(target);
  await mkdir(dirname(path), { recursive: true });
  // A running executable cannot be overwritten.
  await rm(path, { force: true });
  await compileWithBun(target, bundles, path);
  return { path, notes: [] };
}
