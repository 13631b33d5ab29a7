import { readAliasFile } from '../cache/file-store.ts';
import type { CacheFolder } from '../cache/cache-folder.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { computeExchangeKey } from '../login/cache-key.ts';
import { openLoginContext, readCacheStorage } from '../login/open-login-context.ts';
import type { LoginContext, RunContext } from '../login/login-context.ts';

/** The login that the current settings lead to. */
export interface CurrentLogin {
  readonly login: LoginContext;
  /** The key of the Keystone token that it uses. */
  readonly cacheKey: string;
  /** The key of the JWT that the cluster gets; undefined without a token exchange. */
  readonly exchangeKey: string | undefined;
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
  const cacheKey = target ?? login.cacheKey;
  const exchangeKey = login.exchange === undefined ? undefined : computeExchangeKey(cacheKey, login.exchange);
  return { login, cacheKey, exchangeKey };
}

/** Whether the current settings use a cached token. */
export function isCurrentLogin(current: CurrentLogin | undefined, { key, storage }: CachedIdentity): boolean {
  if (current === undefined || readCacheStorage(current.login.config) !== storage) return false;
  return key === current.cacheKey || key === current.exchangeKey;
}
