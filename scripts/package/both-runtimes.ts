/** The plugin's executables on both runtimes, and programs that show what Bun itself takes, for the benchmarks. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compileScriptWithBun, makeBunExecutable } from './bun-binary/executable.ts';
import { listAssets, readBundles } from './bundle-list.ts';
import { describePlugin, makeExecutable } from './node-binary/executable.ts';
import type { Runtime } from './runtimes.ts';
import { hostTarget } from './targets.ts';

/**
 * Builds the programs and makes both executables for this platform.
 *
 * @param folder where to copy them
 * @returns their paths
 */
export async function makeBothExecutables(folder: string): Promise<Readonly<Record<Runtime, string>>> {
  await import('../build.ts');
  const assets = listAssets(await readBundles());
  const paths = { bun: join(folder, 'on-bun'), node: join(folder, 'on-node') };
  // Both have the same path in out/. The one of Node stays there.
  await copyFile((await makeBunExecutable(hostTarget(), assets)).path, paths.bun);
  await copyFile((await makeExecutable(hostTarget(), describePlugin(assets))).path, paths.node);
  return paths;
}

/** Scripts that do less than any plugin on Bun: nothing, and nothing with the modules that each cache hit needs. */
const SMALLEST_SCRIPTS = {
  empty: 'process.exit(0);',
  withFiles: "require('node:fs'); require('node:path'); process.exit(0);",
} as const;

/**
 * Makes the smallest programs on Bun: no change of the plugin can make it faster than these.
 *
 * @param folder where to write them
 * @returns their paths
 */
export async function makeSmallestPrograms(
  folder: string,
): Promise<Readonly<Record<keyof typeof SMALLEST_SCRIPTS, string>>> {
  const paths = { empty: join(folder, 'empty-on-bun'), withFiles: join(folder, 'empty-with-files-on-bun') };
  await compileScriptWithBun(hostTarget(), SMALLEST_SCRIPTS.empty, paths.empty);
  await compileScriptWithBun(hostTarget(), SMALLEST_SCRIPTS.withFiles, paths.withFiles);
  return paths;
}
