/** What a login would do, and why, without a request, a prompt or a change. */
import { isSecretSaved } from '../../cache/saved-secret.ts';
import { isFresh } from '../../cache/token-record.ts';
import type { Option } from '../../config/option.ts';
import { makeProxyRule } from '../../../shared/http/choose-proxy.ts';
import type { ProxyChoice } from '../../../shared/http/choose-proxy.ts';
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import { resolveScope } from '../../config/resolve-scope.ts';
import { describeScope } from '../../../shared/keystone/scope.ts';
import { readTrustedOrigins } from '../../../shared/http/trusted-origins.ts';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import { identifySavedSecret } from '../../login/apply-saved-secret.ts';
import { computeExchangeKey } from '../../login/cache-key.ts';
import { readCacheStorage } from '../../login/open-login-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import type { AuthMethod } from '../../auth-methods/auth-method.ts';
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import { findMissingOptions } from '../../auth-methods/missing-options.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import { listOverriddenSettings, listSettings } from '../list-settings.ts';
import type { OverriddenSetting, ShownSetting } from '../list-settings.ts';
import { previewRequest } from './preview-request.ts';
import type { RequestPreview } from './preview-request.ts';

/** Where the login looks for a token, and what is there. */
interface CacheExplanation {
  readonly key: string;
  /** A name of `STORES`. */
  readonly storage: string;
  /** The folder of the files, or the storage. */
  readonly location: string;
  /** Whether the login would use the token. */
  readonly fresh: boolean;
  /** ms since 1970, UTC; undefined if there is no token. */
  readonly expiresAt: number | undefined;
}

/** How the cluster's token is made of the Keystone token, and what the cache holds of it. */
interface ExchangeExplanation {
  readonly issuer: string;
  readonly audience: string;
  readonly tls: TlsSettings;
  readonly proxy: ProxyChoice;
  readonly cache: CacheExplanation;
}

/** Everything that decides a login. */
export interface Explanation {
  readonly settings: readonly ShownSetting[];
  readonly overridden: readonly OverriddenSetting[];
  readonly method: AuthMethod;
  /** Why this method, as a clause. */
  readonly because: string;
  readonly scope: string;
  readonly missing: readonly Option[];
  /** Describes the secret that the keyring would provide. */
  readonly keyring: string | undefined;
  readonly request: RequestPreview;
  readonly tls: TlsSettings;
  /** The list of trusted servers. */
  readonly trustedOrigins: string | undefined;
  /** For requests to Keystone; undefined if its URL is not set. */
  readonly proxy: ProxyChoice | undefined;
  readonly cache: CacheExplanation;
  /** Undefined if the cluster gets the Keystone token itself. */
  readonly exchange: ExchangeExplanation | undefined;
  readonly warnings: readonly string[];
  /** ms since 1970, UTC. */
  readonly now: number;
}

function explainProxy({ config, host }: LoginContext): ProxyChoice | undefined {
  const text = readAuthUrl(config);
  return text === undefined ? undefined : makeProxyRule(host)(new URL(text));
}

function explainScope({ config }: LoginContext, { expected }: RequestPreview): string {
  if (expected !== undefined && expected.scope === undefined) return 'the scope of the credential itself';
  return describeScope(expected?.scope ?? resolveScope(config));
}

async function explainCache({ config, cache }: LoginContext, key: string, now: number): Promise<CacheExplanation> {
  const storage = readCacheStorage(config);
  const record = (await cache.read(key))?.record;
  return {
    key,
    storage,
    location: storage === 'file' ? (cache.location ?? 'nowhere') : storage,
    fresh: record !== undefined && isFresh(record, now),
    expiresAt: record?.expiresAt,
  };
}

async function explainExchange(login: LoginContext, now: number): Promise<ExchangeExplanation | undefined> {
  const { exchange, host, cacheKey } = login;
  if (exchange === undefined) return undefined;
  const { issuer, audience, tls } = exchange;
  return {
    issuer: issuer.url,
    audience,
    tls,
    proxy: makeProxyRule(host)(new URL(issuer.url)),
    cache: await explainCache(login, computeExchangeKey(cacheKey, exchange), now),
  };
}

/** Collects what decides a login with these settings. */
export async function explainLogin(login: LoginContext, warnings: readonly string[]): Promise<Explanation> {
  const { config, method, host, tls, cache } = login;
  const { problem } = cache;
  const missing = findMissingOptions(config, method);
  const identity = missing.length === 0 ? undefined : identifySavedSecret(login, config);
  const request = await previewRequest(login, missing);
  const now = host.now();
  return {
    settings: listSettings(config, OPTIONS),
    overridden: listOverriddenSettings(config, OPTIONS),
    method,
    because: chooseMethod(config).because,
    scope: explainScope(login, request),
    missing,
    keyring: identity !== undefined && isSecretSaved(host, identity) ? identity.description : undefined,
    request,
    tls,
    trustedOrigins: readTrustedOrigins(host)?.file,
    proxy: explainProxy(login),
    cache: await explainCache(login, login.cacheKey, now),
    exchange: await explainExchange(login, now),
    warnings: problem === undefined ? warnings : [...warnings, problem.message],
    now,
  };
}
