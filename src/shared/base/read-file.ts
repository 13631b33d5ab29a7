/**
 * The one way to read a file that a setting names. It accepts regular files only, because reading a pipe or a device can
 * wait or go on forever, and it reads no more than a limit. ESLint keeps other modules from reading files themselves.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { ConfigError, getErrorCode } from './errors.ts';

/** The content of a regular file, and its state before it was read. */
export interface FileContent {
  readonly bytes: Buffer;
  readonly stats: BigIntStats;
}

/** More than a file with all public certificate authorities needs. */
export const MAX_PEM_BYTES = 1024 * 1024;

/** Enough for most files, so that one read suffices even if the size is unknown, as in /proc. */
const FIRST_CHUNK_BYTES = 4 * 1024;

/**
 * The system itself can open some regular files of the kernel only to wait, so reading never waits. A terminal must not
 * become the one of this process, should it take the place of the file in the meantime.
 */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A file of the wrong kind or size; the message says what it is, after "because". */
class UnsuitableFileError extends Error {}

function describeKind(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'it is a folder';
  const kind = stats.isFIFO() ? 'pipe' : stats.isSocket() ? 'socket' : 'device';
  return `it is a ${kind}, not a regular file`;
}

function requireRegularFile(stats: BigIntStats): void {
  if (!stats.isFile()) throw new UnsuitableFileError(describeKind(stats));
}

const describeSize = (bytes: number): string =>
  bytes % (1024 * 1024) === 0 ? `${bytes / (1024 * 1024)} MiB` : `${bytes / 1024} KiB`;

/** Reads to the end, or one byte more than allowed: the size may be wrong, and the file may grow. */
function readUpTo(fd: number, maxBytes: number, size: bigint): Buffer {
  let bytes = Buffer.alloc(Math.min(maxBytes, Math.max(Number(size), FIRST_CHUNK_BYTES)) + 1);
  let length = 0;
  for (;;) {
    const count = readSync(fd, bytes, length, bytes.length - length, null);
    length += count;
    if (count === 0 || length > maxBytes) return bytes.subarray(0, length);
    if (length === bytes.length) bytes = Buffer.concat([bytes], Math.min(maxBytes + 1, length * 2));
  }
}

/**
 * Reads a regular file. It never waits for another program.
 *
 * @throws the error of node:fs, or an error if it is of another kind or larger than `maxBytes`; see
 * {@link describeReadFailure}
 */
export function readRegularFile(path: string, maxBytes: number): FileContent {
  // Before it is opened, because opening alone has effects on pipes and devices.
  requireRegularFile(statSync(path, { bigint: true }));
  const fd = openSync(path, OPEN_FLAGS);
  try {
    const stats = fstatSync(fd, { bigint: true });
    requireRegularFile(stats);
    const bytes = stats.size > maxBytes ? undefined : readUpTo(fd, maxBytes, stats.size);
    if (bytes === undefined || bytes.length > maxBytes) {
      throw new UnsuitableFileError(`it is larger than ${describeSize(maxBytes)}`);
    }
    return { bytes, stats };
  } finally {
    closeSync(fd);
  }
}

/** Why {@link readRegularFile} failed: `EACCES`, or "it is a folder". It does not repeat the path. */
export function describeReadFailure(error: unknown): string {
  return error instanceof UnsuitableFileError ? error.message : getErrorCode(error);
}

/**
 * Makes the error about a file that {@link readRegularFile} cannot read.
 *
 * @param file begins the message: the setting that names the file, and the path
 */
export function makeReadError(file: string, error: unknown, hint: string): ConfigError {
  return new ConfigError(`${file} cannot be read (${describeReadFailure(error)})`, { hint });
}

/**
 * Reads a regular file that a setting names.
 *
 * @param origin names the setting in messages
 * @throws ConfigError if it cannot be read, or is larger than `maxBytes`
 */
export function readNamedFile(path: string, maxBytes: number, origin: string, hint: string): Buffer {
  try {
    return readRegularFile(path, maxBytes).bytes;
  } catch (error) {
    throw makeReadError(`${origin}: ${path}`, error, hint);
  }
}
