import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CacheFolder } from './cache-folder.ts';
import { MAX_WRITE_MS, parseFileName } from './file-names.ts';
import type { CacheFileKind } from './file-names.ts';
import { removeQuietly } from '../../shared/base/write-private-file.ts';
import { isOwnFile } from './private-file.ts';

/** More files than this come from a script that runs in many folders; those that expire first are removed first. */
const MAX_FILES = 256;

interface LiveFile {
  readonly path: string;
  /** ms since 1970, UTC. */
  readonly expiresAt: number;
}

function removeSurplus(files: LiveFile[]): void {
  files.sort((a, b) => b.expiresAt - a.expiresAt);
  for (const { path } of files.slice(MAX_FILES)) removeQuietly(path);
}

/** The kinds of files that expire. */
const PRUNED: readonly CacheFileKind[] = [
  'token',
  'alias',
  'refusal',
  'metadata',
  'warned',
  'terminal-lock',
  'temporary',
];

/** They never displace a token. A refusal is remembered longer than many tokens, and a lock is kept for a day. */
const COUNTED_ALONE: readonly CacheFileKind[] = ['metadata', 'refusal', 'terminal-lock'];

/**
 * Removes expired files of the user, and only those that a run of the plugin wrote: the folder may be one that the user
 * has for other things too. It reads no file, and a file that it cannot remove stays until the next time.
 *
 * @param now ms since 1970, UTC
 */
export function prune({ path: folder, uid }: CacheFolder, now: number): void {
  const filesByBucket = new Map<CacheFileKind | 'other', LiveFile[]>();
  try {
    for (const name of readdirSync(folder)) {
      const kind = parseFileName(name)?.kind;
      if (kind === undefined || !PRUNED.includes(kind)) continue;
      const path = join(folder, name);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined || !isOwnFile(stats, uid)) continue;
      // The modification time is the time of expiry, and a temporary file may already carry one in the future.
      const expiresAt = kind === 'temporary' ? stats.ctimeMs + MAX_WRITE_MS : stats.mtimeMs;
      if (expiresAt < now) {
        removeQuietly(path);
        continue;
      }
      const bucket = COUNTED_ALONE.includes(kind) ? kind : 'other';
      filesByBucket.set(bucket, [...(filesByBucket.get(bucket) ?? []), { path, expiresAt }]);
    }
  } catch {
    return;
  }
  for (const files of filesByBucket.values()) removeSurplus(files);
}
