/** The folders of this machine that take the place of a cache folder that cannot be used. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listFallbackFolders } from '../../src/plugin/cache/fallback-folders.ts';
import { fakeHost } from './fake-host.ts';

const listTemporaryFolders = (uid: number): string[] => [`/run/user/${uid}`, '/dev/shm', '/tmp'];

function listNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removeAll(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}

/** Removes everything of a user that only tests have. */
export function forgetSubstitutes(uid: number): void {
  removeAll(
    listTemporaryFolders(uid).flatMap((folder) =>
      listNames(folder).flatMap((name) =>
        name.startsWith(`client-keystone-auth-${uid}-`) ? [join(folder, name)] : [],
      ),
    ),
  );
}

/** Removes what took the place of the cache folder in a home; undefined means no home. */
export function forgetSubstitutesOf(uid: number, home: string | undefined): void {
  const host = fakeHost({ uid, home: () => home, temporaryFolders: listTemporaryFolders(uid) });
  removeAll(listFallbackFolders(host).map(({ path }) => path));
}
