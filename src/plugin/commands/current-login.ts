import { readAliasFile } from '../cache/file-store.ts';
import type { CacheFolder } from '../cache/file-store.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { openLoginContext } from '../login/login-context.ts';
import type { LoginContext, RunContext } from '../login/login-context.ts';

/** Whom the present settings mean. */
export interface Present {
  readonly login: LoginContext;
  /** The key that they lead to. */
  readonly key: string;
}

/**
 * Reads the present settings, or says why they cannot be followed: what is kept can be listed and forgotten without
 * them.
 */
export async function readPresent(run: RunContext): Promise<LoginContext | PluginError> {
  try {
    return await openLoginContext(run);
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
}

/** Incomplete settings lead to what was completed the last time. */
export function locatePresent(login: LoginContext, folder: CacheFolder | undefined): Present {
  const target = folder === undefined ? undefined : readAliasFile(folder, login.cacheKey)?.key;
  return { login, key: target ?? login.cacheKey };
}

/** Where the present settings keep tokens: a name of `STORES`. */
export function storageOf({ config }: LoginContext): string {
  return config.text('cache-storage') ?? 'file';
}

/** Whether the present settings would use what is kept. */
export function isPresent(present: Present | undefined, { key, storage }: CachedIdentity): boolean {
  return present?.key === key && storageOf(present.login) === storage;
}
