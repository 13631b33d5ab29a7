// Finds Keycloak's own distribution, which is an artifact of Maven, and prepares it once in the user's cache: it is
// unpacked, its settings of build time are applied, and it has made its database. A start then takes a third of the
// processor time.

import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { pathExists } from '../lib/path-exists.ts';
import { fillCacheFolder, findDevelopmentCache } from '../lib/development-cache.ts';
import { makePki } from '../lib/pki.ts';
import { checkFile, findInPath, runLogged } from '../lib/build-steps.ts';
import { callAdmin, listKeycloakArguments, startKeycloak } from './keycloak.ts';

export const KEYCLOAK_VERSION = '26.0.7';

const SHA_256 = 'a6d770bbf55625781f1225a54a130839cdc1dd4ad5b3b4bbb18c9ac8bca8f8ae';

/** A folder of the cache with a Keycloak that can be started, or why there is none. */
export type FoundKeycloak = KeycloakFolder | { readonly missing: string };

export interface KeycloakFolder {
  readonly folder: string;
  /** The program `java`. */
  readonly java: string;
}

/** Settings that Keycloak fixes before it starts. Krake expects the path that Keycloak had before version 17. */
const BUILD_ARGUMENTS = ['build', '--db=dev-file', '--http-relative-path=/auth'];

/** The lifetime of the administrator's tokens in seconds: longer than a run of the tests. */
const ADMIN_TOKEN_SECONDS = 7200;

function findFolder(): string {
  return join(findDevelopmentCache(), `keycloak-${KEYCLOAK_VERSION}`);
}

/** Returns where Keycloak is. It does not download it. */
export async function findKeycloak(): Promise<FoundKeycloak> {
  const java = await findInPath('java');
  if (java === undefined) return { missing: 'Java is not installed' };
  // setpriv makes the kernel stop Keycloak when this process dies.
  if (!(await pathExists('/usr/bin/setpriv'))) return { missing: '/usr/bin/setpriv does not exist' };
  const folder = findFolder();
  if (await pathExists(folder)) return { folder, java };
  return {
    missing: 'Keycloak is not prepared; run "node scripts/setup.mjs scripts/build-identity-providers.ts keycloak"',
  };
}

/**
 * Downloads Keycloak and prepares it.
 *
 * @param log the path of a file that gets the output of the programs
 * @throws Error if a step fails
 */
export async function prepareKeycloak(log: string, say: (line: string) => void): Promise<string> {
  const folder = findFolder();
  if (await pathExists(folder)) return folder;
  const [java, maven] = [await findInPath('java'), await findInPath('mvn')];
  if (java === undefined || maven === undefined) throw new Error('Keycloak needs Java 17 and Maven');
  await fillCacheFolder(folder, async ({ work, done }) => {
    say(`Downloading Keycloak ${KEYCLOAK_VERSION} …`);
    const artifact = 'org/keycloak/keycloak-quarkus-dist';
    const download = [
      ...['--quiet', '--batch-mode', 'dependency:get', '-Dtransitive=false'],
      ...[`-Dartifact=org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:tar.gz`],
      ...[`-Dmaven.repo.local=${join(work, 'maven')}`],
    ];
    await runLogged(log, maven, download, { cwd: work });
    const archive = join(work, 'maven', artifact, KEYCLOAK_VERSION, `keycloak-quarkus-dist-${KEYCLOAK_VERSION}.tar.gz`);
    await checkFile(archive, SHA_256);
    await runLogged(log, 'tar', ['-xzf', archive, '-C', done, '--strip-components=1'], { cwd: work });
    say('Preparing Keycloak …');
    await runLogged(log, java, listKeycloakArguments(done, BUILD_ARGUMENTS), { cwd: done });
    await makeDatabase({ folder: done, java }, work);
  });
  return folder;
}

/** Starts Keycloak with an empty database, which fills it, and stops it. */
async function makeDatabase(keycloak: KeycloakFolder, work: string): Promise<void> {
  const pki = await makePki(join(work, 'pki'));
  const adminPassword = randomBytes(16).toString('hex');
  const server = await startKeycloak(keycloak, {
    dir: join(work, 'first'),
    pki,
    bootstrapPassword: adminPassword,
  });
  try {
    await callAdmin(server, '/master', {
      method: 'PUT',
      json: { realm: 'master', accessTokenLifespan: ADMIN_TOKEN_SECONDS },
    });
  } finally {
    await server.stop();
  }
  await rename(join(work, 'first/data'), join(keycloak.folder, 'data'));
  await writeFile(join(keycloak.folder, 'admin-password'), adminPassword, { mode: 0o600 });
}

/** Reads the password of the user `admin` in the prepared database. */
export async function readAdminPassword({ folder }: KeycloakFolder): Promise<string> {
  return readFile(join(folder, 'admin-password'), 'utf8');
}
