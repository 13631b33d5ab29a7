/** The folders of this machine that take the place of a cache folder that cannot be used. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const listFolders = (uid: number): string[] =>
  [`/run/user/${uid}`, '/dev/shm', '/tmp'].map((folder) => join(folder, `client-keystone-auth-${uid}`));

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Removes what a test left for one cache key, or everything of a user that only the test has. */
export function forgetSubstitutes(uid: number, key?: string): void {
  for (const folder of listFolders(uid)) {
    if (key === undefined) rmSync(folder, { recursive: true, force: true });
    else for (const name of listNames(folder)) if (name.startsWith(key)) rmSync(join(folder, name), { force: true });
  }
}
