/** Writes files that only their owner can access. */
import { closeSync, constants, fsyncSync, futimesSync, lstatSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { renameOver } from './rename-over.ts';

const FILE_MODE = 0o600;

/**
 * Follows no symbolic link, and does not wait for the other end of a planted FIFO. Windows has neither flag (Node
 * defines neither, which counts as 0); there the access list of the profile folder protects the files.
 */
const SAFE_OPEN = constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface PrivateFile {
  readonly folder: string;
  readonly name: string;
  readonly content: string | Buffer;
  /** In the same folder, and used by nobody else at the moment. */
  readonly temporaryName: string;
  /** The modification time, ms since 1970, UTC; the time of writing by default. */
  readonly modifiedAt?: number;
  /** After a power failure, the file may be empty under its final name; nothing but its content is lost. */
  readonly mayBeLost?: boolean;
}

/** Creates a file that is complete on the disk when this returns, unless it may be lost. */
function writeNew(path: string, { content, modifiedAt, mayBeLost }: PrivateFile): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFE_OPEN, FILE_MODE);
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    let offset = 0;
    while (offset < bytes.length) offset += writeSync(fd, bytes, offset);
    if (modifiedAt !== undefined) futimesSync(fd, modifiedAt / 1000, modifiedAt / 1000);
    // Without this, a power failure can leave an empty file under the final name.
    if (mayBeLost !== true) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Creates an empty file unless it exists. Follows no symbolic link.
 *
 * @throws the error of node:fs
 */
export function ensurePrivateFile(path: string): void {
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | SAFE_OPEN, FILE_MODE));
}

/** Removes a file if that is possible. */
export function removeQuietly(path: string): void {
  try {
    // Most files that are removed like this do not exist, and on Bun a failed removal takes longer than this look.
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) rmSync(path, { force: true });
  } catch {
    // What keeps a file from being written also keeps it from being removed.
  }
}

/**
 * Writes a file with the mode 0600, and replaces an existing one in one step.
 *
 * @throws the error of node:fs
 */
export function replacePrivateFile(file: PrivateFile): void {
  const temporary = join(file.folder, file.temporaryName);
  try {
    writeNew(temporary, file);
    renameOver(temporary, join(file.folder, file.name));
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}
