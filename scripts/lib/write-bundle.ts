import { mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import type { BuildOptions } from 'esbuild';

/**
 * Bundles a module, with all that it imports, into one file for Node. Two test runs can write the file at the same time
 * while tests of the first one read it.
 *
 * @param url of the module
 * @returns the path of the file
 */
export async function writeBundle(url: string, file: string, options: BuildOptions): Promise<string> {
  const written = `${file}.${String(process.pid)}`;
  mkdirSync(dirname(file), { recursive: true });
  await build({
    ...options,
    entryPoints: [fileURLToPath(url)],
    outfile: written,
    bundle: true,
    platform: 'node',
    logLevel: 'silent',
  });
  renameSync(written, file);
  return file;
}
