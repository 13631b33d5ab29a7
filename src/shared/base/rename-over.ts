import { renameSync } from 'node:fs';
import { sep } from 'node:path';
import { block } from './block.ts';
import { getErrorCode } from './errors.ts';

/** What a rename needs of the system. */
export interface RenameSystem {
  readonly rename: (from: string, to: string) => void;
  readonly isWindows: boolean;
  /** Waits for this many ms. */
  readonly wait: (ms: number) => void;
}

const SYSTEM: RenameSystem = {
  rename: renameSync,
  isWindows: sep === '\\',
  wait: block,
};

/** How Windows says that another program has the file open. */
const BUSY: readonly string[] = ['EPERM', 'EACCES', 'EBUSY'];

/** How long to wait before each further attempt, in ms: half a second in all. */
const WAITS_MS = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;

/**
 * Renames a file, and replaces the one that has the new name. Windows refuses that while another program has the replaced
 * file open, as other runs of the plugin and virus scanners have for moments, so it is tried again there.
 *
 * @throws the error of node:fs
 */
export function renameOver(from: string, to: string, { rename, isWindows, wait }: RenameSystem = SYSTEM): void {
  for (const ms of isWindows ? WAITS_MS : []) {
    try {
      rename(from, to);
      return;
    } catch (error) {
      if (!BUSY.includes(getErrorCode(error))) throw error;
      wait(ms);
    }
  }
  rename(from, to);
}
