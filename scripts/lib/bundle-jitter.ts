// Bundles the delays of `npm test -- --jitter SEED` into one file that any Node process can load.

import { join } from 'node:path';

import { writeBundle } from './write-bundle.ts';

/**
 * Writes the bundle.
 *
 * @param folder a folder that every user can read, because some tests run the plugin as another user
 * @returns the path of the bundle
 */
export function bundleJitter(folder: string, seed: string): Promise<string> {
  const file = join(folder, `jitter-${encodeURIComponent(seed)}.cjs`);
  return writeBundle(import.meta.resolve('../jitter/start.ts'), file, {
    format: 'cjs',
    define: { JITTER_SEED: JSON.stringify(seed) },
  });
}
