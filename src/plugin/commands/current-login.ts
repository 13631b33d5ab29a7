import { readAliasFile } from '../cache/file-store.ts';
import type { Folder } from '../cache/file-store.ts';
import type { Identity } from '../cache/cached-identities.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { openLogin } from '../login/login-context.ts';
import type { Login, Run } from '../login/login-context.ts';

/** Whom the present settings mean. */
export interface Present {
  readonly login: Login;
  /** The key that they lead to. */
  readonly key: string;
}

/**
 * Reads the present settings, or says why they cannot be followed: what is kept can be listed and forgotten without
 * them.
 */
export async function readPresent(run: Run): Promise<Login | PluginError> {
  try {
    return await openLogin(run);
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
}

/** Incomplete settings lead to what was completed the last time. */
export function locatePresent(login: Login, folder: Folder | undefined): Present {
  const target = folder === undefined ? undefined : readAliasFile(folder, login.key)?.key;
  return { login, key: target ?? login.key };
}

/** Where the present settings keep tokens: a name of `STORES`. */
export function storageOf({ given }: Login): string {
  return given.text('cache-storage') ?? 'file';
}

/** Whether the present settings would use what is kept. */
export function isPresent(present: Present | undefined, { key, storage }: Identity): boolean {
  return present?.key === key && storageOf(present.login) === storage;
}
