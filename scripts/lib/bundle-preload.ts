// Bundles what each test process loads first into JavaScript. Otherwise Node would load its TypeScript compiler for it.

import { join } from 'node:path';

import { writeBundle } from './write-bundle.ts';

/**
 * Writes the bundle.
 *
 * @param cache a folder for files of test runs
 * @returns the path of the bundle
 */
export function bundlePreload(cache: string): Promise<string> {
  return writeBundle(import.meta.resolve('./preload.ts'), join(cache, 'preload.mjs'), { format: 'esm' });
}
