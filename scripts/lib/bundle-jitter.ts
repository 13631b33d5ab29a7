// Bundles the delays of `npm test -- --jitter SEED` into one file that any Node process can load.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

/**
 * Writes the bundle.
 *
 * @param folder a folder for files of this test run
 * @returns the path of the bundle
 */
export async function bundleJitter(folder: string, seed: string): Promise<string> {
  const file = join(folder, `jitter-${encodeURIComponent(seed)}.cjs`);
  await build({
    entryPoints: [fileURLToPath(import.meta.resolve('../jitter/start.ts'))],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { JITTER_SEED: JSON.stringify(seed) },
    logLevel: 'silent',
  });
  return file;
}
