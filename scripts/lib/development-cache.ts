// The folder of this user for what development needs and this project did not install.

import { rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { getErrorCode } from '../../src/shared/base/errors.ts';

/** Returns the folder for downloads of development tools. */
export function findDevelopmentCache(): string {
  const configured = process.env['XDG_CACHE_HOME'] ?? '';
  const home = configured === '' ? join(homedir(), '.cache') : configured;
  return join(home, 'client-keystone-auth-dev');
}

/** Moves a complete folder to its place in the cache. If another process was faster, its folder has the same content. */
export async function moveIntoCache(staging: string, folder: string): Promise<void> {
  await rename(staging, folder).catch((error: unknown) => {
    if (!['ENOTEMPTY', 'EEXIST'].includes(getErrorCode(error))) throw error;
  });
}
