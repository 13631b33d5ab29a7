/**
 * Watches files and reads them again when they change; invalid content is reported and the last valid content stays in
 * force. It polls the stamps of the files: a mounted ConfigMap or Secret changes by a symbolic link in a parent folder,
 * which a watch of the file does not see.
 */
import { stat } from 'node:fs/promises';
import type { Clock } from '../../shared/base/clock.ts';
import { getErrorCode, PluginError } from '../../shared/base/errors.ts';
import { SingleFlight } from '../../shared/base/single-flight.ts';
import { readTextFile } from './read-text-file.ts';
import type { NamedFile } from './read-text-file.ts';

export interface FileWatcher<T> {
  /** The last valid content. */
  current(): T;
  /** Checks the files now. */
  check(): Promise<void>;
  close(): void;
}

export interface FileWatcherSettings<T> {
  readonly files: readonly NamedFile[];
  /** Takes the texts of the files, in their order. */
  readonly parse: (texts: readonly string[]) => T;
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Called after each change, valid or not. */
  readonly onChange: (result: { readonly value: T } | { readonly failure: string }) => void;
}

async function readStamp({ path }: NamedFile): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return getErrorCode(error);
  }
}

/**
 * Reads files now and whenever they change.
 *
 * @throws PluginError if they are invalid at the start
 */
export async function startFileWatcher<T>(settings: FileWatcherSettings<T>): Promise<FileWatcher<T>> {
  const { files, parse, intervalMs, clock, onChange } = settings;
  const readStamps = async (): Promise<string> => (await Promise.all(files.map(readStamp))).join('\n');
  const read = (): T => parse(files.map(readTextFile));
  // Before the content, so that the next check sees a change in between.
  let stamps = await readStamps();
  let value = read();
  const flight = new SingleFlight<void>();

  async function readIfChanged(): Promise<void> {
    const newStamps = await readStamps();
    if (newStamps === stamps) return;
    stamps = newStamps;
    try {
      value = read();
    } catch (error) {
      onChange({ failure: error instanceof PluginError ? error.message : 'internal error' });
      return;
    }
    onChange({ value });
  }

  const check = (): Promise<void> => flight.run('files', readIfChanged);
  let cancelTimer: () => void;
  const checkLater = (): void => {
    cancelTimer = clock.startTimer(intervalMs, () => {
      checkLater();
      void check();
    });
  };
  checkLater();
  return {
    current: () => value,
    check,
    close: () => {
      cancelTimer();
    },
  };
}
