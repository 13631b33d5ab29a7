import { readAliasFile } from '../cache/file-store.ts';
import type { CacheFolder } from '../cache/cache-folder.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { openLoginContext, readCacheStorage } from '../login/open-login-context.ts';
import type { LoginContext, RunContext } from '../login/login-context.ts';

/** Whom the present settings mean. */
export interface CurrentLogin {
  readonly login: LoginContext;
  /** The key that they lead to. */
  readonly cacheKey: string;
}

/**
 * Reads the present settings, or says why they cannot be followed: what is kept can be listed and forgotten without
 * them.
 */
export async function openCurrentLogin(run: RunContext): Promise<LoginContext | PluginError> {
  try {
    return await openLoginContext(run);
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
}

/** Incomplete settings lead to what was completed the last time. */
export function resolveCurrentLogin(login: LoginContext, folder: CacheFolder | undefined): CurrentLogin {
  const target = folder === undefined ? undefined : readAliasFile(folder, login.cacheKey)?.key;
  return { login, cacheKey: target ?? login.cacheKey };
}

/** Where the present settings keep tokens: a name of `STORES`. */
export function getCacheStorage({ config }: LoginContext): string {
  return readCacheStorage(config);
}

/** Whether the present settings would use what is kept. */
export function isCurrentLogin(present: CurrentLogin | undefined, { key, storage }: CachedIdentity): boolean {
  return present?.cacheKey === key && getCacheStorage(present.login) === storage;
}
