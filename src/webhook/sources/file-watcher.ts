/**
 * Files that may change while we run. What they hold is read again then; what cannot be used is said and left, and what
 * was good stays in force. They are looked at by their stamps, time after time: a mounted ConfigMap or Secret changes by a
 * symbolic link further up, which no watch of the file would see.
 */
import { readFile, stat } from 'node:fs/promises';
import { getErrorCode, ConfigError, PluginError } from '../../shared/base/errors.ts';

export interface FileWatcher<T> {
  /** What was good last. */
  current(): T;
  /** Looks now. */
  check(): Promise<void>;
  close(): void;
}

export interface FileWatcherSettings<T> {
  readonly files: readonly string[];
  /** What the texts of the files mean, in their order. */
  readonly parse: (texts: readonly string[]) => T;
  readonly intervalMs: number;
  /** After each change, good or bad. */
  readonly onChange: (result: { readonly value: T } | { readonly failure: string }) => void;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${file} cannot be read (${getErrorCode(error)})`, {
      hint: 'check the path and who may read it',
    });
  }
}

async function readStamp(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return getErrorCode(error);
  }
}

/**
 * Reads files, and again whenever they change.
 *
 * @throws PluginError where they cannot be used in the first place
 */
export async function startFileWatcher<T>(settings: FileWatcherSettings<T>): Promise<FileWatcher<T>> {
  const { files, parse, intervalMs, onChange } = settings;
  const readStamps = async (): Promise<string> => (await Promise.all(files.map(readStamp))).join('\n');
  const read = async (): Promise<T> => parse(await Promise.all(files.map(readText)));
  // Before the content, so that a change in between is seen at the next look.
  let stamps = await readStamps();
  let value = await read();
  let looking: Promise<void> | undefined;

  async function lookOnce(): Promise<void> {
    const seen = await readStamps();
    if (seen === stamps) return;
    stamps = seen;
    try {
      value = await read();
    } catch (error) {
      onChange({ failure: error instanceof PluginError ? error.message : 'internal error' });
      return;
    }
    onChange({ value });
  }

  const check = (): Promise<void> => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const timer = setInterval(() => void check(), intervalMs);
  timer.unref();
  return {
    current: () => value,
    check,
    close: () => {
      clearInterval(timer);
    },
  };
}
