// Builds tools from source, once, in the user's cache.

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { runLogged } from './build-steps.ts';

/** This machine lacks what the build needs. The message says what. */
export class BuildToolMissing extends Error {}

/** Where a build works. */
export interface BuildFolder {
  /** Empty at first, and removed afterwards. It is on the file system of the cache. */
  readonly work: string;
  /** In this folder, for the output of programs. */
  readonly log: string;
}

/** How much of the log a failure shows, in lines. */
const TAIL_LINES = 8;

/** Go makes its caches read-only. */
async function removeFolder(work: string): Promise<void> {
  const log = `${work}.log`;
  await runLogged(log, 'chmod', ['-R', 'u+w', work], { cwd: '/' }).catch(() => undefined);
  await rm(work, { recursive: true, force: true });
  await rm(log, { force: true });
}

/**
 * Runs a build in a new folder beside the one in the cache that it fills. If it fails, the end of the log is printed, and
 * the process will exit with status 1. Without a tool, it is skipped, except in CI, which has all tools; elsewhere, the
 * tests name what they skip.
 *
 * @param what the name of the tool, with its version
 * @param target the folder in the cache
 */
export async function buildForCache(
  what: string,
  target: string,
  build: (folder: BuildFolder) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(join(dirname(target), `.${basename(target)}-`));
  const log = join(work, 'log');
  try {
    console.log(`Building ${what} …`);
    const started = performance.now();
    await build({ work, log });
    console.log(`Built ${target} in ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
  } catch (error) {
    if (error instanceof BuildToolMissing && process.env['CI'] === undefined) {
      console.log(`Skipped ${what}: ${error.message}`);
      return;
    }
    const tail = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(-TAIL_LINES).join('\n');
    console.error(`${what}: ${error instanceof Error ? error.message : String(error)}\n${tail}`);
    process.exitCode = 1;
  } finally {
    await removeFolder(work);
  }
}
