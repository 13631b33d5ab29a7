// Finds out what the test runner must start for a test file, from the modules that the file imports.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';
import type { Metafile } from 'esbuild';

import type { ResourceName } from '../../test/support/resources.ts';

/** The modules that give tests resources. Only files that import one of them, in any number of steps, get these. */
const PROVIDERS: Readonly<Record<string, readonly ResourceName[]>> = {
  'test/support/built-programs.ts': ['programs'],
  'test/support/test-environment.ts': ['keystone'],
  'test/support/keystone-tls.ts': ['tlsKeystone'],
  'test/support/keystone-mutual-tls.ts': ['mutualTlsKeystone'],
  'test/support/federation.ts': ['keystone', 'federation'],
  'test/support/keycloak.ts': ['keycloak'],
};

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
  for (const file of [...files, ...Object.keys(PROVIDERS)])
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
      const names = Object.entries(PROVIDERS).flatMap(([module, given]) => (modules.has(module) ? given : []));
      return [file, [...new Set(names)]];
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
