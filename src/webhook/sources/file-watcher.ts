/**
 * Watches files and applies their content when it changes; invalid content is reported and the last valid content stays
 * in force. It reads the files each time and compares what they contain: a mounted ConfigMap or Secret changes by a
 * symbolic link in a parent folder, which a watch of the file does not see, and the size and the times of a file can be
 * the same after a change. What it finds must stay the same for a moment: the first half of a file that somebody writes
 * can be valid, without the restrictions of the second half.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { readTextFile } from './read-text-file.ts';
import type { NamedFile } from './read-text-file.ts';

export interface FileWatcher<T> {
  /** The last valid content. */
  current(): T;
  /** Applies what the files contain now: somebody has said that they are complete. */
  readonly check: () => void;
  close(): void;
}

export interface FileWatcherSettings<T> {
  readonly files: readonly NamedFile[];
  /** Takes the texts of the files, in their order. */
  readonly parse: (texts: readonly string[]) => T;
  /** How often the files are read, in ms. */
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Called after each change, valid or not. */
  readonly onChange: (result: { readonly value: T } | { readonly failure: string }) => void;
  /** Called after each check that finds the last valid content. */
  readonly onConfirmed: () => void;
}

/** How long content must stay the same before it is applied, in ms. */
const SETTLE_MS = 500;

/** The texts of the files, or why they cannot be read. */
type Content = { readonly texts: readonly string[] } | { readonly failure: string };

function describeFailure(error: unknown): string {
  return error instanceof PluginError ? error.message : 'internal error';
}

function readContent(files: readonly NamedFile[]): Content {
  try {
    return { texts: files.map(readTextFile) };
  } catch (error) {
    return { failure: describeFailure(error) };
  }
}

/**
 * Reads files now and whenever they change.
 *
 * @throws PluginError if they are invalid at the start
 */
export function startFileWatcher<T>(settings: FileWatcherSettings<T>): FileWatcher<T> {
  const { files, parse, intervalMs, clock, onChange, onConfirmed } = settings;
  const texts = files.map(readTextFile);
  let value = parse(texts);
  let last: Content = { texts };
  let isLastValid = true;

  function apply(content: Content): void {
    isLastValid = false;
    if ('failure' in content) {
      onChange(content);
      return;
    }
    try {
      value = parse(content.texts);
    } catch (error) {
      onChange({ failure: describeFailure(error) });
      return;
    }
    isLastValid = true;
    onChange({ value });
  }

  function accept(content: Content): void {
    if (!isDeepStrictEqual(content, last)) {
      last = content;
      apply(content);
    }
    if (isLastValid) onConfirmed();
  }

  let cancelTimer: () => void;
  const checkLater = (): void => {
    cancelTimer = clock.startTimer(intervalMs - SETTLE_MS, () => {
      const first = readContent(files);
      cancelTimer = clock.startTimer(SETTLE_MS, () => {
        checkLater();
        const content = readContent(files);
        if (isDeepStrictEqual(content, first)) accept(content);
      });
    });
  };
  checkLater();
  return {
    current: () => value,
    check: () => {
      accept(readContent(files));
    },
    close: () => {
      cancelTimer();
    },
  };
}
