// Bundles the delays of `npm test -- --jitter SEED` into one file that any Node process can load.

import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

/**
 * Writes the bundle.
 *
 * @param folder a folder that every user can read, because some tests run the plugin as another user
 * @returns the path of the bundle
 */
export async function bundleJitter(folder: string, seed: string): Promise<string> {
  const file = join(folder, `jitter-${encodeURIComponent(seed)}.cjs`);
  // Two test runs can write it at the same time, and tests of the first one read it.
  const written = `${file}.${String(process.pid)}`;
  await build({
    entryPoints: [fileURLToPath(import.meta.resolve('../jitter/start.ts'))],
    outfile: written,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { JITTER_SEED: JSON.stringify(seed) },
    logLevel: 'silent',
  });
  renameSync(written, file);
  return file;
}
