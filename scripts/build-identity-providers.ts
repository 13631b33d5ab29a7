// Prepares the identity providers of the tests, once, in the user's cache: Keycloak from Maven, Dex and Hydra from Go's
// module proxy, and Krake from PyPI.
//
// usage: node scripts/setup.mjs scripts/build-identity-providers.ts [keycloak|dex|hydra|krake...]

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DEX } from './identity-providers/dex.ts';
import { HYDRA } from './identity-providers/hydra.ts';
import { findKrake } from './identity-providers/krake.ts';
import { prepareKeycloak } from './identity-providers/find-keycloak.ts';
import { pathExists } from './lib/path-exists.ts';
import { buildGoTools, findGoToolPath } from './lib/go-tools.ts';
import type { GoTools } from './lib/go-tools.ts';

type Prepare = (log: string, say: (line: string) => void) => Promise<string>;

const buildWithGo =
  (tools: GoTools): Prepare =>
  async (_log, say) => {
    const path = findGoToolPath(tools, tools.name);
    if (!(await pathExists(path))) say(`Building ${tools.name} ${tools.version} …`);
    await buildGoTools(tools);
    return path;
  };

const PREPARATIONS: Readonly<Record<string, Prepare>> = {
  keycloak: prepareKeycloak,
  dex: buildWithGo(DEX),
  hydra: buildWithGo(HYDRA),
  krake: async (_log, say) => {
    const found = await findKrake(say);
    if ('missing' in found) throw new Error(found.missing);
    return found.python;
  },
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PREPARATIONS);
const dir = await mkdtemp(join(tmpdir(), 'cka-identity-providers-'));
for (const name of names) {
  const log = join(dir, name);
  try {
    const prepare = PREPARATIONS[name];
    if (prepare === undefined)
      throw new Error(`"${name}" is not one of these: ${Object.keys(PREPARATIONS).join(', ')}`);
    console.log(`${name}: ${await prepare(log, say)}`);
  } catch (error) {
    const tail = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(-12).join('\n');
    console.error(`${error instanceof Error ? error.message : String(error)}\n${tail}`);
    process.exitCode = 1;
  }
}
await rm(dir, { recursive: true, force: true });

function say(line: string): void {
  console.log(line);
}
