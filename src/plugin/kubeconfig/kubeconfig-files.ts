/** Reads kubeconfig files, and writes them with the lock of kubectl and with a backup copy. */
import { lstatSync, mkdirSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { getErrorCode, ConfigError, PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { describeReadFailure, readRegularFile } from '../../shared/base/read-file.ts';
import type { FileContent } from '../../shared/base/read-file.ts';
import { makeBackupCopy } from './backup-copies.ts';
import { holdSignals } from './hold-signals.ts';
import { tryLock } from './kubeconfig-lock.ts';
import { replaceContent, writePrivately } from './write-file.ts';
import type { WriteOptions } from './write-file.ts';

/** The kubeconfig of 2,000 clusters with their certificates has 4 MiB. */
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_WAIT_MS = 3_000;
const WAIT_MS = 100;

function readIfExists(path: string): FileContent | undefined {
  try {
    return readRegularFile(path, MAX_BYTES);
  } catch (error) {
    if (getErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const NOT_TEXT = 'ENCODING';

function makeReadError(path: string, error: unknown): ConfigError {
  const reason = getErrorCode(error) === NOT_TEXT ? 'it is not UTF-8 text' : describeReadFailure(error);
  return new ConfigError(`${path} cannot be read (${reason})`, {
    hint: 'name another kubeconfig with --kubeconfig, or one or several with KUBECONFIG',
  });
}

/**
 * Reads a text file; undefined if it does not exist.
 *
 * @throws ConfigError if it exists and cannot be read, is larger than 8 MiB or is not UTF-8
 */
export function readTextFile(path: string): string | undefined {
  try {
    const content = readIfExists(path);
    return content === undefined ? undefined : decode(content.bytes);
  } catch (error) {
    throw makeReadError(path, error);
  }
}

function decode(bytes: Buffer): string {
  try {
    // The byte order mark must stay in the text, so that it is written back.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw Object.assign(new Error('not UTF-8'), { code: NOT_TEXT });
  }
}

/** Returns the target of a symbolic link, which need not exist, and any other path as it is. */
function resolveLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (getErrorCode(error) !== 'ENOENT') throw error;
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    return isLink ? resolveLinks(resolve(realpathSync(dirname(path)), readlinkSync(path))) : path;
  }
}

/** A change to one file. */
export interface FileChange {
  readonly path: string;
  /** The content that was read; undefined if the file did not exist. */
  readonly before: string | undefined;
  readonly after: string;
}

/** Replaces one file; returns the path of the backup copy, undefined if there was no file. */
function replace({ path, before, after }: FileChange, options: WriteOptions): string | undefined {
  const target = resolveLinks(path);
  const content = readIfExists(target);
  if ((content === undefined ? undefined : decode(content.bytes)) !== before) {
    throw new ConfigError(`another program has just changed ${path}`, { hint: 'run the command again' });
  }
  if (content === undefined) {
    writePrivately(target, after);
    return undefined;
  }
  const backup = makeBackupCopy(target, content.bytes);
  replaceContent(target, content.bytes, Buffer.from(after), options);
  return backup;
}

/** Lists the paths to lock: programs that name a file by a link, and those that name the file, meet at the target. */
const listLockPaths = (changes: readonly FileChange[]): string[] => [
  ...new Set(changes.flatMap(({ path }) => [path, resolveLinks(path)])),
];

/** The outcome of one attempt to write: the backup copies by the paths of the files, or the lock in the way. */
type Attempt = ReadonlyMap<string, string> | { readonly lock: string };

function tryWrite(changes: readonly FileChange[], host: Host, options: WriteOptions): Attempt {
  let path = '';
  let release: (() => void) | undefined;
  try {
    for (const change of changes) {
      ({ path } = change);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    }
    const lock = tryLock(listLockPaths(changes), host);
    if (typeof lock === 'string') return { lock };
    release = lock;
    const backups = new Map<string, string>();
    for (const change of changes) {
      ({ path } = change);
      const backup = replace(change, options);
      if (backup !== undefined) backups.set(path, backup);
    }
    return backups;
  } catch (error) {
    if (error instanceof PluginError) throw error;
    throw new ConfigError(`${path} cannot be written (${getErrorCode(error)})`, {
      hint: 'make the file and its folder writable, or name another file with --kubeconfig',
    });
  } finally {
    release?.();
  }
}

/**
 * Writes changed files with the locks of kubectl, and makes a backup copy of each. No lock is held while this waits for
 * another one, and no signal ends the program while it holds one.
 *
 * @returns the paths of the backup copies, by the paths of the files
 * @throws ConfigError if a file cannot be written, or has changed since it was read; the files before it are written
 */
export async function writeChanges(
  changes: readonly FileChange[],
  host: Host,
  options: WriteOptions,
): Promise<ReadonlyMap<string, string>> {
  for (let waitedMs = 0; ; waitedMs += WAIT_MS) {
    const attempt = await holdSignals(host, () => tryWrite(changes, host, options));
    if (!('lock' in attempt)) return attempt;
    if (waitedMs >= MAX_WAIT_MS) {
      throw new ConfigError(`another program is writing ${attempt.lock.slice(0, -'.lock'.length)}`, {
        hint: `wait until it has finished; if no kubectl is running, remove ${attempt.lock}`,
      });
    }
    await wait(WAIT_MS);
  }
}
