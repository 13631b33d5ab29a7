/**
 * Files that only their owner may see. Nothing is trusted by its path: what is read is checked on the open descriptor,
 * and what is written appears under its name complete or not at all.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { CacheError } from '../errors.ts';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const OTHERS = 0o077;

/** Larger than any record: a token has at most 16 KiB. */
const LARGEST_BYTES = 64 * 1024;

/**
 * No symbolic link is followed, and opening a FIFO that somebody planted does not wait for its other end. Windows has
 * neither flag, which counts as 0; its profile folder's access list does this work.
 */
const SAFELY = constants.O_NOFOLLOW | constants.O_NONBLOCK;

function isOurs(stats: Stats, uid: number | undefined): boolean {
  return uid === undefined || (stats.uid === uid && (stats.mode & OTHERS) === 0);
}

/** Reads a file that is regular, ours, closed to others and has one name; anything else counts as absent. */
export function readPrivate(path: string, uid: number | undefined): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | SAFELY);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || !isOurs(stats, uid) || stats.nlink !== 1 || stats.size > LARGEST_BYTES) return undefined;
    return readFileSync(fd, 'utf8');
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** Makes the folder, or takes the rights of others away from one that is ours. */
function ensureFolder(folder: string, uid: number | undefined): void {
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  const stats = lstatSync(folder);
  if (!stats.isDirectory()) throw new CacheError('the cache folder is not a folder');
  if (uid === undefined) return;
  if (stats.uid !== uid) throw new CacheError('the cache folder belongs to another user');
  if ((stats.mode & OTHERS) !== 0) chmodSync(folder, FOLDER_MODE);
}

/** Makes a new file that is complete on the disk when this returns. */
function writeNew(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | SAFELY, FILE_MODE);
  try {
    const bytes = Buffer.from(text);
    let done = 0;
    while (done < bytes.length) done += writeSync(fd, bytes, done);
    // Without it a power cut can leave the final name on an empty file.
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It was never made, or whatever kept it from being written keeps it from being removed.
  }
}

/**
 * Puts `text` under `name` in `folder`, replacing what stood there in one step.
 *
 * @throws CacheError when the folder or the file cannot be made
 */
export function writePrivate(folder: string, name: string, text: string, uid: number | undefined): void {
  // O_EXCL makes it safe, so it only has to differ from that of a run at the same moment.
  const temporary = join(folder, `.${name}.${Math.random().toString(36).slice(2)}`);
  try {
    ensureFolder(folder, uid);
    writeNew(temporary, text);
    renameSync(temporary, join(folder, name));
  } catch (error) {
    removeQuietly(temporary);
    if (error instanceof CacheError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new CacheError(`the token cache in ${folder} cannot be written (${code})`, { cause: error });
  }
}
