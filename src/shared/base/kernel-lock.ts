/**
 * A lock across processes that the kernel holds, on a file that stays empty. The kernel releases it when the process dies,
 * even after kill -9. Node offers such a lock only through node:sqlite.
 */
import { getErrorCode } from './errors.ts';

const SQLITE_BUSY = 5;

export interface KernelLock {
  /** Acquires the lock if it is free. */
  readonly tryAcquire: () => boolean;
  readonly close: () => void;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/** Why a lock failed, in SQLite's own words: "database or disk is full". */
export function describeLockFailure(error: unknown): string {
  if (error instanceof Error && 'errstr' in error && typeof error.errstr === 'string') return error.errstr;
  return getErrorCode(error);
}

/**
 * Opens the lock of a file. The file must exist: SQLite itself would follow links and apply the umask.
 *
 * @throws the error of SQLite, see {@link describeLockFailure}
 */
export async function openKernelLock(path: string): Promise<KernelLock> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { timeout: 0 });
  return {
    tryAcquire() {
      try {
        database.exec('BEGIN EXCLUSIVE');
        return true;
      } catch (error) {
        if (isBusy(error)) return false;
        throw error;
      }
    },
    close() {
      database.close();
    },
  };
}
