// Finds out what the test runner must start for a test file, from the modules that the file imports.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';
import type { Metafile } from 'esbuild';

import type { ResourceName } from '../../test/support/resources.ts';

/** The modules that give tests a resource. Only files that import one of them, in any number of steps, get it. */
const PROVIDERS: Readonly<Record<ResourceName, string>> = {
  programs: 'test/support/built-programs.ts',
  keystone: 'test/support/test-environment.ts',
  tlsKeystone: 'test/support/keystone-tls.ts',
  mutualTlsKeystone: 'test/support/keystone-mutual-tls.ts',
  federation: 'test/support/federation.ts',
};

const resourceNames = Object.keys(PROVIDERS) as ResourceName[];

/**
 * Lists the resources that each test file needs. Imports of types do not count.
 *
 * @param root the folder of the project
 * @param files paths below `root`, separated by `/`
 * @throws Error if a file or an imported module does not exist or cannot be parsed
 */
export async function findResources(
  root: string,
  files: readonly string[],
): Promise<ReadonlyMap<string, readonly ResourceName[]>> {
  for (const file of [...files, ...Object.values(PROVIDERS)])
    if (!existsSync(join(root, file))) throw new Error(`${file} does not exist`);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [...files],
    bundle: true,
    write: false,
    metafile: true,
    outdir: 'out',
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  });
  return new Map(
    files.map((file) => {
      const modules = listModules(metafile, file);
      return [file, resourceNames.filter((name) => modules.has(PROVIDERS[name]))];
    }),
  );
}

function listModules({ inputs }: Metafile, file: string): ReadonlySet<string> {
  const modules = new Set([file]);
  // The set grows while it is read.
  for (const module of modules)
    for (const { path, external } of inputs[module]?.imports ?? []) if (external !== true) modules.add(path);
  return modules;
}
