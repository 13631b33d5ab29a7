/** Runs programs where nothing of this system is visible: the libraries of a system with musl, and a home. */
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { findMusl } from '../../scripts/lib/find-musl.ts';
import { executablePath, hostTarget, TARGETS } from '../../scripts/package/targets.ts';
import { canRun, skipBecause, skipWithout } from './missing-tools.ts';
import { PACKAGED_EXECUTABLE } from './run-plugin.ts';

/** The plugin in such a system. */
export const PLUGIN = '/usr/bin/client-keystone-auth';

export interface MuslSystem {
  /** Makes the command that runs a program there. The network and the processes are those of this machine. */
  makeCommand(program: string, mounts?: Mounts): readonly string[];
  /** Makes the command that runs a program of this system where programs for musl run too, as with Alpine's gcompat. */
  makeMixedCommand(program: string, folders: readonly string[]): readonly string[];
  /** The dynamic linker of musl. With the name `ldd`, it is ldd. */
  readonly linker: string;
  readonly executable: string;
}

/** What else is visible there. */
export interface Mounts {
  /** Folders that can be changed, under their own paths. */
  readonly folders?: readonly string[];
  /** Files that can be read, by their paths there. */
  readonly files?: Readonly<Record<string, string>>;
  /** Default: yes. */
  readonly proc?: boolean;
}

/**
 * Finds what such a system consists of, or returns the reason for skipping its tests.
 *
 * @throws Error in CI, which must have it
 */
export async function prepareMuslSystem(): Promise<MuslSystem | { readonly skip: string }> {
  if (PACKAGED_EXECUTABLE === undefined) return { skip: 'npm test -- --packaged' };
  const target = TARGETS.find(({ name }) => name === `${hostTarget().name}-musl`);
  if (target === undefined) return { skip: `there is no musl for ${hostTarget().name}` };
  const executable = resolve(executablePath(target));
  const missing =
    skipWithout(`${executable} (npm run package -- --target ${target.name})`, () => existsSync(executable)) ||
    skipWithout('bubblewrap', () => canRun('bwrap', '--version'));
  if (missing !== false) return { skip: missing };
  const libraries = await findMusl(target.bun.processor);
  if ('missing' in libraries) return { skip: skipBecause(libraries.missing) };
  const { root } = libraries;
  const linker = readdirSync(`${root}/lib`).find((name) => name.startsWith('ld-musl-')) ?? '';
  return {
    executable,
    linker: `${root}/lib/${linker}`,
    makeMixedCommand: (program, folders) => [
      ...['bwrap', '--ro-bind', '/usr', '/usr', '--ro-bind', '/etc', '/etc', '--dev-bind', '/dev', '/dev'],
      ...['--ro-bind', '/proc', '/proc', '--symlink', 'usr/bin', '/bin', '--symlink', 'usr/lib64', '/lib64'],
      // The names below /lib that programs for glibc, and then those for musl, look for.
      ...readdirSync('/usr/lib')
        .filter((name) => /^ld-linux|-linux-gnu$/.test(name))
        .flatMap((name) => ['--ro-bind', `/usr/lib/${name}`, `/lib/${name}`]),
      ...['--ro-bind', `${root}/lib/${linker}`, `/lib/${linker}`, '--ro-bind', `${root}/usr/lib`, '/usr/local/lib'],
      ...folders.flatMap((folder) => ['--bind', folder, folder]),
      program,
    ],
    makeCommand: (program, { folders = [], files = {}, proc = true } = {}) => [
      ...['bwrap', '--ro-bind', `${root}/lib`, '/lib', '--ro-bind', `${root}/usr/lib`, '/usr/lib'],
      ...['--dev-bind', '/dev', '/dev', ...(proc ? ['--ro-bind', '/proc', '/proc'] : [])],
      ...Object.entries({ [PLUGIN]: executable, ...files }).flatMap(([path, file]) => ['--ro-bind', file, path]),
      ...folders.flatMap((folder) => ['--bind', folder, folder]),
      program,
    ],
  };
}
