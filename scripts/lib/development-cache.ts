// The folder of this user for what development needs and this project did not install.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { getErrorCode } from '../../src/shared/base/errors.ts';

/** Where a folder of the cache is prepared, on the file system of the cache. */
export interface CacheStaging {
  /** For what is needed on the way, such as downloads and logs. */
  readonly work: string;
  /** Empty at first. It becomes the folder of the cache. */
  readonly done: string;
}

/** Longer than the slowest build takes on a busy machine. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

/** Returns the folder for downloads of development tools. */
export function findDevelopmentCache(): string {
  const configured = process.env['XDG_CACHE_HOME'] ?? '';
  const home = configured === '' ? join(homedir(), '.cache') : configured;
  return join(home, 'client-keystone-auth-dev');
}

/**
 * Fills a folder of the cache in one step, so that a folder that exists is complete. If another process is faster, its
 * folder has the same content.
 *
 * @throws what `fill` throws
 */
export async function fillCacheFolder(folder: string, fill: (staging: CacheStaging) => Promise<void>): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const prefix = join(dirname(folder), `.${basename(folder)}-`);
  await removeAbandoned(prefix);
  const work = await mkdtemp(prefix);
  const done = join(work, 'done');
  try {
    await mkdir(done);
    await fill({ work, done });
    await rename(done, folder).catch((error: unknown) => {
      if (!['ENOTEMPTY', 'EEXIST'].includes(getErrorCode(error))) throw error;
    });
  } finally {
    await removeStaging(work);
  }
}

/** Fills a folder of the cache like `fillCacheFolder`, and returns the last line of the error if that fails. */
export async function tryToFillCacheFolder(
  folder: string,
  fill: (staging: CacheStaging) => Promise<void>,
): Promise<string | undefined> {
  try {
    await fillCacheFolder(folder, fill);
    return undefined;
  } catch (error) {
    const { message = String(error), stderr = '' } = error as { readonly message?: string; readonly stderr?: string };
    return `${message}\n${stderr}`.trim().split('\n').at(-1);
  }
}

/** Removes what killed processes left behind, but nothing that a running process may still fill. */
async function removeAbandoned(prefix: string): Promise<void> {
  const parent = dirname(prefix);
  for (const name of await readdir(parent)) {
    if (!name.startsWith(basename(prefix))) continue;
    const info = await stat(join(parent, name)).catch(() => undefined);
    if (info !== undefined && Date.now() - info.mtimeMs > ABANDONED_AFTER_MS) await removeStaging(join(parent, name));
  }
}

async function removeStaging(work: string): Promise<void> {
  // Go makes its caches read-only.
  await promisify(execFile)('chmod', ['-R', 'u+w', work]).catch(() => undefined);
  await rm(work, { recursive: true, force: true });
}
