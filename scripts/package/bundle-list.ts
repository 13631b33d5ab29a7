/** The bundles that `npm run build` made, and their parts in an executable. */
import { readFile } from 'node:fs/promises';
import type { Bundle } from '../build.ts';

/** The main script of a single executable, which no other package contains. */
export const EXECUTABLE_SCRIPT = 'executable.cjs';

const MAIN_SCRIPTS = ['client-keystone-auth.cjs', EXECUTABLE_SCRIPT];

/** Reads the list that `npm run build` writes. */
export async function readBundles(file = 'out/bundles.json'): Promise<readonly Bundle[]> {
  return JSON.parse(await readFile(file, 'utf8')) as readonly Bundle[];
}

/** Lists the bundles that are assets of the plugin's executable: all but the main scripts. */
export function listAssets(bundles: readonly Bundle[]): readonly string[] {
  return bundles.map(({ name }) => name).filter((name) => !MAIN_SCRIPTS.includes(name));
}
