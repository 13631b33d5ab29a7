/**
 * The slow path to the token for the cluster: the Keystone token itself, or the JWT that an issuer exchanges it for.
 * With an exchange, no failure leads to the Keystone token.
 */
import { AuthRejected, KeystoneUnreachable } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { TerminalText } from '../../shared/base/terminal-text.ts';
import { requestExchange, SubjectTokenRejected } from '../../shared/oidc/exchange-request.ts';
import type { TokenOwner } from '../cache/token-metadata.ts';
import type { CachedToken, TokenRecord } from '../cache/token-record.ts';
import { API_VERSIONS, renderExecCredential } from '../exec/exec-credential.ts';
import { computeExchangeKey, makeExchangeAliases } from './cache-key.ts';
import { getTokenRecord, isKnownToKeystone, isUsable, logInOnce, VALIDATION_MS } from './get-token.ts';
import type { LoginToken } from './get-token.ts';
import { withHttp } from './http-context.ts';
import type { LoginContext, RunContext } from './login-context.ts';
import { openLoginContext } from './open-login-context.ts';
import { getOneAtATime } from './one-at-a-time.ts';
import type { SharedToken } from './one-at-a-time.ts';
import { rejectRefusedExchange, rememberRefusedExchange } from './refused-logins.ts';
import type { TokenExchange } from './token-exchange.ts';

/** The share of the deadline for Keystone that the issuer has in addition. */
const ISSUER_SHARE = 0.5;

/**
 * Makes the ExecCredential for the settings of a run.
 *
 * @throws PluginError
 */
export async function getExecCredential(run: RunContext): Promise<TerminalText> {
  const login = await openLoginContext(run);
  const { token, expiresAt } = await getClusterToken(login);
  const apiVersion = login.apiVersion ?? run.execInfo?.apiVersion ?? API_VERSIONS[0];
  return renderExecCredential(apiVersion, token, expiresAt);
}

/**
 * Gets the token for the cluster, from the cache, from Keystone, or from the issuer.
 *
 * @throws PluginError
 */
export async function getClusterToken(login: LoginContext): Promise<TokenRecord> {
  return login.exchange === undefined ? getTokenRecord(login) : getExchangedToken(login, login.exchange);
}

/**
 * Gets the JWT for the cluster, from the cache or from the issuer.
 *
 * @throws PluginError
 */
export async function getExchangedToken(login: LoginContext, exchange: TokenExchange): Promise<TokenRecord> {
  const { cache, reporter } = login;
  const match = await cache.read(computeExchangeKey(login.cacheKey, exchange));
  if (match === undefined || !isUsable(login, match.record)) {
    const record = await exchangeOrKeep(login, exchange, match?.record, {});
    cache.handOut(record.token);
    return record;
  }
  // If the same kubectl asks again for a JWT that it has just received, the cluster may have rejected it.
  if (cache.handOut(match.record.token) === 'token') return replaceRejected(login, exchange, match.record);
  reporter.debug(`the cache holds a JWT until ${new Date(match.record.expiresAt).toISOString()}`);
  cache.storeAliases(match.record, makeExchangeAliases(login, exchange, match.key));
  return match.record;
}

/** Exchanges again, once for each kubectl, with a Keystone token that Keystone still knows. */
async function replaceRejected(
  login: LoginContext,
  exchange: TokenExchange,
  rejected: TokenRecord,
): Promise<TokenRecord> {
  const keystone = await findKeystoneToken(login);
  const isRevoked = keystone !== undefined && !(await isKnownToKeystone(login, keystone.record));
  const record = await exchangeOrKeep(login, exchange, rejected, {
    rejectedJwt: rejected.token,
    revokedToken: isRevoked ? keystone.record.token : undefined,
  });
  login.cache.confirm(record.token);
  return record;
}

/** Cached tokens that must not be used. */
interface UselessTokens {
  /** A JWT that the cluster may have rejected. */
  readonly rejectedJwt?: string | undefined;
  /** A Keystone token that Keystone no longer accepts. */
  readonly revokedToken?: string | undefined;
}

/** Exchanges; if a server does not answer, a JWT that has not expired stays in use. */
async function exchangeOrKeep(
  login: LoginContext,
  exchange: TokenExchange,
  last: TokenRecord | undefined,
  useless: UselessTokens,
): Promise<TokenRecord> {
  const { host, config, deadlineMs, reporter } = login;
  const isAlive = ({ expiresAt }: TokenRecord): boolean => expiresAt > host.now() && !config.isOn('force-refresh');
  const kept = last !== undefined && isAlive(last) ? last : undefined;
  const issuerMs = deadlineMs * ISSUER_SHARE;
  const maxMs = kept === undefined ? issuerMs : Math.min(issuerMs, VALIDATION_MS);
  try {
    return await exchangeWithLogin(login, { ...exchange, maxMs }, useless);
  } catch (error) {
    if (kept === undefined || !(error instanceof KeystoneUnreachable) || !isAlive(kept)) throw error;
    const end = new Date(kept.expiresAt).toISOString();
    reporter.warn(`the token for the cluster is used until ${end}, because it cannot be renewed: ${error.message}`);
    return kept;
  }
}

/** An exchange, and how long the issuer may take, in ms. */
interface TimedExchange extends TokenExchange {
  readonly maxMs: number;
}

/** Exchanges, and logs in once more if the Keystone token from the cache has been revoked. */
async function exchangeWithLogin(
  login: LoginContext,
  exchange: TimedExchange,
  { rejectedJwt, revokedToken }: UselessTokens,
): Promise<TokenRecord> {
  const cached = await findKeystoneToken(login);
  const usable = cached?.record.token === revokedToken ? undefined : cached;
  const keystone = usable ?? (await logInOnce(login, revokedToken));
  try {
    return await exchangeOnce(login, exchange, keystone, rejectedJwt);
  } catch (error) {
    // A new token would not help if Keystone still knows this one: then the issuer asks another Keystone.
    const mayHelp = error instanceof SubjectTokenRejected && usable !== undefined;
    if (!mayHelp || (await isKnownToKeystone(login, usable.record))) throw error;
    const renewed = await logInOnce(login, usable.record.token);
    return exchangeOnce(login, exchange, renewed, rejectedJwt);
  }
}

/** Finds a Keystone token in the cache. Nobody receives it, so it is not noted as handed out. */
async function findKeystoneToken(login: LoginContext): Promise<LoginToken | undefined> {
  const match = await login.cache.read(login.cacheKey);
  return match !== undefined && isUsable(login, match.record) ? { ...match, isCacheable: true } : undefined;
}

/** Exchanges, unless another process has just done so: the first to get the lock exchanges for all. */
async function exchangeOnce(
  login: LoginContext,
  exchange: TimedExchange,
  keystone: LoginToken,
  rejectedJwt: string | undefined,
): Promise<TokenRecord> {
  const { cache } = login;
  const key = computeExchangeKey(keystone.key, exchange);
  const aliases = makeExchangeAliases(login, exchange, key);
  // The lock of the login is free by now: two keys can share a lock.
  const shared: SharedToken = {
    key,
    maxMs: exchange.maxMs,
    waitsFor: 'another token exchange',
    isNew: ({ record }) => record.token !== rejectedJwt && isUsable(login, record),
  };
  const take = ({ record }: CachedToken): TokenRecord => {
    cache.storeAliases(record, aliases);
    return record;
  };
  return getOneAtATime(login, shared, take, async () => {
    const { record, owner } = await sendExchange(login, exchange, keystone, key);
    if (keystone.isCacheable) await cache.store(key, record, aliases, owner);
    else cache.forgetRefusals(key);
    return record;
  });
}

async function sendExchange(
  login: LoginContext,
  { issuer, audience, tls, maxMs }: TimedExchange,
  { record: keystone, key: keystoneKey }: LoginToken,
  key: string,
): Promise<{ readonly record: TokenRecord; readonly owner: TokenOwner }> {
  const { method, reporter } = login;
  rejectRefusedExchange(login, key, keystone.token);
  reporter.debug(`exchanging the Keystone token for a JWT for ${audience} at ${issuer.url}`);
  try {
    const { token, user, receivedAt, expiresAt } = await withHttp({ ...login, tls }, maxMs, (http) =>
      requestExchange(http, issuer, { subjectToken: new Secret(keystone.token), audience }),
    );
    return {
      record: { token: token.reveal(), receivedAt, expiresAt, endpoint: undefined },
      owner: {
        user,
        scope: `cluster ${audience}`,
        method: method.name,
        exchange: { issuer: issuer.url, audience, keystoneKey },
      },
    };
  } catch (error) {
    if (error instanceof AuthRejected) rememberRefusedExchange(login, key, keystone.token, error);
    throw error;
  }
}
