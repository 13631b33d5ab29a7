import { readAliasFile } from '../cache/file-store.ts';
import type { CacheFolder } from '../cache/cache-folder.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { openLoginContext, readCacheStorage } from '../login/open-login-context.ts';
import type { LoginContext, RunContext } from '../login/login-context.ts';

/** The login that the current settings lead to. */
export interface CurrentLogin {
  readonly login: LoginContext;
  /** The key of the token that it uses. */
  readonly cacheKey: string;
}

/** Opens the login of the current settings; returns the error instead, since cached tokens can be listed without it. */
export async function openCurrentLogin(run: RunContext): Promise<LoginContext | PluginError> {
  try {
    return await openLoginContext(run);
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
}

/** Finds the token of the current settings. Incomplete settings use the token of the last login that completed them. */
export function resolveCurrentLogin(login: LoginContext, folders: readonly CacheFolder[]): CurrentLogin {
  const [target] = folders.flatMap((folder) => readAliasFile(folder, login.cacheKey)?.key ?? []);
  return { login, cacheKey: target ?? login.cacheKey };
}

/** Whether the current settings use a cached token. */
export function isCurrentLogin(current: CurrentLogin | undefined, { key, storage }: CachedIdentity): boolean {
  return current?.cacheKey === key && readCacheStorage(current.login.config) === storage;
}
