// Builds tools from source, once, in the user's cache.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Interrupted } from './build-steps.ts';
import { fillCacheFolder } from './development-cache.ts';
import type { CacheStaging } from './development-cache.ts';

/** This machine lacks what the build needs. The message says what. */
export class BuildToolMissing extends Error {}

/** Where a build works. */
export interface BuildStaging extends CacheStaging {
  /** A file for the output of programs. */
  readonly log: string;
}

/** How much of the log a failure shows, in lines. */
const TAIL_LINES = 8;

/**
 * Runs a build that fills a folder of the cache. If it fails, the end of the log is printed, and the process will exit
 * with status 1. A signal ends the process, after the folder is cleaned up. Without a tool, the build is skipped, except
 * in CI, which has all tools; elsewhere, the tests name what they skip.
 *
 * @param what the name of the tool, with its version
 * @param target the folder in the cache
 */
export async function buildForCache(
  what: string,
  target: string,
  build: (staging: BuildStaging) => Promise<void>,
): Promise<void> {
  console.log(`Building ${what} …`);
  const started = performance.now();
  let tail = '';
  try {
    await fillCacheFolder(target, async (staging) => {
      const log = join(staging.work, 'log');
      try {
        await build({ ...staging, log });
      } catch (error) {
        tail = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(-TAIL_LINES).join('\n');
        throw error;
      }
    });
    console.log(`Built ${target} in ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
  } catch (error) {
    // The folder is cleaned up, and nothing catches the signal anymore.
    if (error instanceof Interrupted) process.kill(process.pid, error.signal);
    if (error instanceof BuildToolMissing && process.env['CI'] === undefined) {
      console.log(`Skipped ${what}: ${error.message}`);
      return;
    }
    console.error(`${what}: ${error instanceof Error ? error.message : String(error)}\n${tail}`);
    process.exitCode = 1;
  }
}
