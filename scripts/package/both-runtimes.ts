/** The plugin's executables on both runtimes, for the benchmarks that compare them. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBunExecutable } from './bun-binary/executable.ts';
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
