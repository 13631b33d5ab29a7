// Prepares the identity providers of the tests, once, in the user's cache: Keycloak from Maven.
//
// usage: node scripts/setup.mjs scripts/build-identity-providers.ts [keycloak...]

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { prepareKeycloak } from './identity-providers/find-keycloak.ts';

type Prepare = (log: string, say: (line: string) => void) => Promise<string>;

const PREPARATIONS: Readonly<Record<string, Prepare>> = { keycloak: prepareKeycloak };

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
