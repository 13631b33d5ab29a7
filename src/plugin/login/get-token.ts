/** The slow path to a Keystone token, read from top to bottom: cache → lock → cache → prompts → Keystone → cache. */
import { AuthRejected } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';
import { findForeignProxy } from '../../shared/http/choose-proxy.ts';
import { isTokenValid } from '../../shared/keystone/client.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { isFresh } from '../cache/token-record.ts';
import type { CachedToken, TokenRecord } from '../cache/token-record.ts';
import type { ReceivedToken } from './accept-token.ts';
import { applySavedSecret, forgetRejectedSecret } from './apply-saved-secret.ts';
import { computeCacheKey, isKeyUnchanged, makeAliases } from './cache-key.ts';
import { withHttp } from './http-context.ts';
import type { LoginContext } from './login-context.ts';
import { getOneAtATime } from './one-at-a-time.ts';
import type { SharedToken } from './one-at-a-time.ts';
import { promptForMissing } from './prompt-missing.ts';
import { rejectRefusedLogin, rememberFailedLogin } from './refused-logins.ts';
import { renewToken, requestToken } from './request-token.ts';

/** How long Keystone may take to confirm a token. */
export const VALIDATION_MS = 5_000;

/**
 * Gets a Keystone token for the settings of a run, from the cache or from Keystone.
 *
 * @throws PluginError
 */
export async function getTokenRecord(login: LoginContext): Promise<TokenRecord> {
  const { cache, cacheKey, reporter } = login;
  const match = await cache.read(cacheKey);
  const cached = match !== undefined && isUsable(login, match.record) ? match : undefined;
  if (cached !== undefined && (await isStillValid(login, cached.record))) {
    reporter.debug(`the cache holds a token until ${new Date(cached.record.expiresAt).toISOString()}`);
    cache.storeAliases(cached.record, makeAliases(login, cached.key));
    return cached.record;
  }
  const { record } = await logInOnce(login, cached?.record.token);
  // Do not ask Keystone again about a token that replaces a revoked one within the same kubectl command.
  if (cached === undefined) cache.handOut(record.token);
  else cache.confirm(record.token);
  return record;
}

/** Whether a cached token may be handed out: it is fresh and, with `--force-refresh`, newer than this run. */
export function isUsable({ config, host, startedAt }: LoginContext, record: TokenRecord): boolean {
  return isFresh(record, host.now()) && !(config.isOn('force-refresh') && record.receivedAt < startedAt);
}

/**
 * Whether a cached token is still valid. If the same kubectl asks again for a token that it has just received, the
 * cluster may have rejected it: then Keystone is asked, once.
 */
async function isStillValid(login: LoginContext, record: TokenRecord): Promise<boolean> {
  const { cache } = login;
  if (cache.handOut(record.token) !== 'token') return true;
  const isValid = await isKnownToKeystone(login, record);
  if (isValid) cache.confirm(record.token);
  return isValid;
}

/** Asks Keystone whether a token is still valid. It cannot be asked about a provider's own token. */
export async function isKnownToKeystone(login: LoginContext, { token, endpoint }: TokenRecord): Promise<boolean> {
  if (endpoint === undefined) return true;
  const isValid = await withHttp(login, VALIDATION_MS, (http) => isTokenValid(http, endpoint, new Secret(token)));
  login.reporter.debug(isValid ? 'Keystone confirms the token' : 'Keystone no longer knows the token');
  return isValid;
}

/** The token of a login, and whether what it leads to may be cached. */
export interface LoginToken extends CachedToken {
  readonly isCacheable: boolean;
}

/**
 * Logs in, unless another process has just done so: the first to get the lock logs in for all.
 *
 * @param revokedToken a cached token that must not be used
 * @throws PluginError
 */
export async function logInOnce(login: LoginContext, revokedToken: string | undefined): Promise<LoginToken> {
  const { cache, cacheKey, reporter } = login;
  const shared: SharedToken = {
    key: cacheKey,
    maxMs: login.maxLoginMs,
    waitsFor: 'another login',
    isNew: ({ record }) => record.token !== revokedToken && isUsable(login, record),
  };
  const take = (last: CachedToken): LoginToken => {
    cache.storeAliases(last.record, makeAliases(login, last.key));
    return { ...last, isCacheable: true };
  };
  return getOneAtATime(login, shared, take, async (last) => {
    const { key, record, owner, cacheable } = (await renew(login, last)) ?? (await logIn(login));
    const isCacheable = cacheable && isKeyUnchanged(login);
    // A stored token forgets the refusals of its own key.
    if (!isCacheable || key !== cacheKey) cache.forgetRefusals(cacheKey);
    if (isCacheable) await cache.store(key, record, makeAliases(login, key), owner);
    else if (cacheable) reporter.debug('the token is not cached: the identity changed during the login');
    return { key, record, isCacheable };
  });
}

/** Warns about secrets in flags and about settings that contradict each other, in a run that logs in. */
export function warnAboutSettings(login: LoginContext): void {
  const { config, flags, reporter } = login;
  for (const option of OPTIONS) {
    if (!option.secret || !flags.has(option.name)) continue;
    const variable = option.env?.[0] ?? 'a variable';
    reporter.warn(`--${option.name} can be read by every user of this machine; set ${variable} instead`);
  }
  config.warnings.forEach(reporter.warn);
  warnAboutForeignProxies(login);
}

function warnAboutForeignProxies({ config, host, reporter }: LoginContext): void {
  const texts = OPTIONS.flatMap(({ name, secret }) => (secret ? [] : (config.text(name) ?? [])));
  const urls = texts.flatMap((text) => URL.parse(text) ?? []);
  for (const variable of new Set(urls.flatMap((url) => findForeignProxy(host, url) ?? []))) {
    reporter.warn(
      `the proxy in ${variable} is not used: a kubeconfig may have set it, and without TLS it would see the credential`,
    );
  }
}

/** A new token and the cache key to store it under. */
interface NewToken extends ReceivedToken {
  readonly key: string;
}

/** Gets the next token without a prompt; undefined if a full login is needed. */
async function renew(login: LoginContext, last: CachedToken | undefined): Promise<NewToken | undefined> {
  const received = last === undefined ? undefined : await renewToken(login, last);
  if (received === undefined || last === undefined) return undefined;
  warnAboutSettings(login);
  return { ...received, key: last.key };
}

/** Completes the settings and logs in, unless the same login was refused a moment ago. */
async function logIn(login: LoginContext): Promise<NewToken> {
  const { method, tls, host } = login;
  const savedSecret = await applySavedSecret(login);
  const settings = savedSecret?.config ?? login.config;
  rejectRefusedLogin(login, settings);
  warnAboutSettings(login);
  try {
    const config = await promptForMissing(login, settings, (current) => findMissingOptions(current, method));
    return { ...(await requestToken(login, config)), key: computeCacheKey(config, method, tls, host) };
  } catch (error) {
    const isSecretRefused = savedSecret !== undefined && error instanceof AuthRejected;
    const failure = isSecretRefused ? await forgetRejectedSecret(login, savedSecret, error) : error;
    rememberFailedLogin(login, settings, failure);
    throw failure;
  }
}
