/** Writes files so that neither a full disk nor a killed process loses their content. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { renameOver } from '../../shared/base/rename-over.ts';

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;
const OWNER_PERMISSIONS = 0o700;

function writeAt(fd: number, bytes: Buffer, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(fd, bytes, written, bytes.length - written, position + written);
  }
}

/**
 * Creates a file whose existence is what counts: on a full disk, it stays empty.
 *
 * @throws Error of the system, EEXIST if the file exists
 */
export function createMark(path: string, content: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
  try {
    writeSync(fd, content);
  } catch {
    // The content only says more about it.
  } finally {
    closeSync(fd);
  }
}

/** After this, a new name survives a power failure. Windows and some file systems have nothing like it. */
function syncFolder(folder: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(folder, constants.O_RDONLY);
    fsyncSync(fd);
  } catch {
    // The file itself is synced.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Writes a file for the owner only, in one step: other programs see the old content or the new content, never a part.
 * Only one process may do this at a time.
 *
 * @throws Error of the system; the old file is then unchanged
 */
export function writePrivately(path: string, content: string | Buffer): void {
  // Always the same name, so that killed runs leave one such file at most.
  const temporary = join(dirname(path), `.${basename(path)}.new`);
  rmSync(temporary, { force: true });
  try {
    const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
    try {
      writeAt(fd, Buffer.from(content), 0);
      // Without this, a power failure can leave an empty file under the final name.
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameOver(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function replaceIn(fd: number, before: Buffer, after: Buffer): void {
  const restoreOnFailure = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      writeAt(fd, before, 0);
      ftruncateSync(fd, before.length);
      throw error;
    }
  };
  restoreOnFailure(() => {
    // First the space, which a full disk does not have.
    if (after.length > before.length) writeAt(fd, Buffer.alloc(after.length - before.length, '\n'), before.length);
    fsyncSync(fd);
  });
  const padding = Buffer.alloc(Math.max(0, before.length - after.length), '\n');
  restoreOnFailure(() => {
    writeAt(fd, Buffer.concat([after, padding]), 0);
    fsyncSync(fd);
  });
  ftruncateSync(fd, after.length);
  fsyncSync(fd);
}

/** How a file is written. */
export interface WriteOptions {
  /** Whether to remove the permissions of all users but the owner. */
  readonly forOwnerOnly: boolean;
}

/**
 * Replaces the content of a file of YAML or JSON, and keeps the file: its owner, permissions, access control list,
 * attributes and other names. The content is the old or the new one after each step, with empty lines at its end.
 *
 * @param before its content
 * @throws Error of the system; the old content is then restored
 */
export function replaceContent(path: string, before: Buffer, after: Buffer, { forOwnerOnly }: WriteOptions): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { mode } = fstatSync(fd);
    if (forOwnerOnly && (mode & OTHERS) !== 0) fchmodSync(fd, mode & OWNER_PERMISSIONS);
    replaceIn(fd, before, after);
  } finally {
    closeSync(fd);
  }
}
