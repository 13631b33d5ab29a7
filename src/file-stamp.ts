import { statSync } from 'node:fs';

/** A file that an answer depended on, and how it looked then. */
export interface FileStamp {
  /** Absolute path. */
  readonly path: string;
  readonly stamp: string;
}

const ABSENT = 'absent';

/** Describes the file without reading it: size, times in ns and inode change whenever its content does. */
export function stampFile(path: string): FileStamp {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return {
    path,
    stamp: stats === undefined ? ABSENT : [stats.size, stats.mtimeNs, stats.ctimeNs, stats.ino].join(' '),
  };
}

/** Whether the file still looks as it did. */
export function isUnchanged(file: FileStamp): boolean {
  try {
    return stampFile(file.path).stamp === file.stamp;
  } catch {
    return false;
  }
}
