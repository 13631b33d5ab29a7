/** The slow path, on one page: cache → lock → cache → terminal → Keystone → cache. */
import { isFresh } from '../cache/token-record.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { AuthRejected } from '../../shared/base/errors.ts';
import { API_VERSIONS, renderExecCredential } from '../exec/exec-credential.ts';
import { promptForMissing } from './prompt-missing.ts';
import { requestToken, isStillValid, renewToken } from './request-token.ts';
import type { CachedToken, ReceivedToken } from './request-token.ts';
import { applySavedSecret, forgetRejectedSecret } from './apply-saved-secret.ts';
import { isKeyUnchanged, makeAliases, computeCacheKey, listCredentialFields } from './cache-key.ts';
import { openLoginContext, warnAboutSettings } from './open-login-context.ts';
import type { LoginContext, RunContext } from './login-context.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { UserCancelled } from '../terminal/terminal.ts';

/** Beyond the holder's own deadline, for what it does before and after. */
const LOCK_SLACK_MS = 1_000;

/** A refused login is not tried again at once, see `cache/refusals.ts`. */
function refuseAgain(login: LoginContext): void {
  const { config, cache, cacheKey, host } = login;
  if (config.isOn('force-refresh')) return;
  const at = cache.findRefusalTime(cacheKey, listCredentialFields(login));
  if (at === undefined) return;
  const seconds = Math.max(1, Math.round((host.now() - at) / 1000));
  throw new AuthRejected('refused-before', `this login was refused ${seconds} s ago, and is not tried again yet`, {
    hint: 'another credential is tried at once, the same one after 30 s or with --force-refresh',
  });
}

/** A token, and the key of the cache that it belongs under. */
interface Obtained extends ReceivedToken {
  readonly key: string;
}

/** Finds or asks for what is missing and logs in; whoever refuses, Keystone or the user, is not asked again for this command. */
async function logIn(login: LoginContext): Promise<Obtained> {
  const { config: given, method, tls, host } = login;
  const kept = await applySavedSecret(login);
  try {
    const config = await promptForMissing(login, kept?.config ?? given, (known) => findMissingOptions(known, method));
    return { ...(await requestToken(login, config)), key: computeCacheKey(config, method, tls, host) };
  } catch (error) {
    const refused = error instanceof AuthRejected || error instanceof UserCancelled;
    if (refused) login.cache.rememberRefusal(login.cacheKey, listCredentialFields(login));
    throw kept !== undefined && error instanceof AuthRejected ? await forgetRejectedSecret(login, kept, error) : error;
  }
}

/** The next token without anybody being asked; undefined where a whole login is needed. */
async function renewLast(login: LoginContext, last: CachedToken | undefined): Promise<Obtained | undefined> {
  const renewed = last === undefined ? undefined : await renewToken(login, last);
  return renewed === undefined || last === undefined ? undefined : { ...renewed, key: last.key };
}

/** Whether a token of the cache may be given: it is fresh, and got since the run began where a new one is wanted. */
function isWelcome({ config, host, startedAt }: LoginContext, record: TokenRecord): boolean {
  return isFresh(record, host.now()) && !(config.isOn('force-refresh') && record.receivedAt < startedAt);
}

/** Logs in, unless another process has just done so: whoever gets the lock first does it for all. */
async function logInOnce(login: LoginContext, dead: string | undefined): Promise<TokenRecord> {
  const { cache, cacheKey, reporter, maxLoginMs } = login;
  const isNew = (record: TokenRecord): boolean => record.token !== dead && isWelcome(login, record);
  const release = await cache.lock(cacheKey, {
    maxWaitMs: maxLoginMs + LOCK_SLACK_MS,
    isNoLongerNeeded: async () => {
      const found = await cache.read(cacheKey);
      return found !== undefined && isNew(found.record);
    },
    onLongWait: () => {
      reporter.progress('waiting for another login');
    },
  });
  try {
    const found = await cache.read(cacheKey);
    if (found !== undefined && isNew(found.record)) {
      cache.storeAliases(found.record, makeAliases(login, found.key));
      return found.record;
    }
    refuseAgain(login);
    warnAboutSettings(login);
    const { record, owner, cacheable, key: finalKey } = (await renewLast(login, found)) ?? (await logIn(login));
    if (!cacheable) return record;
    if (isKeyUnchanged(login)) await cache.store(finalKey, record, makeAliases(login, finalKey), owner);
    else reporter.debug('the token is not kept: whose it is cannot be told for sure');
    return record;
  } finally {
    release?.();
  }
}

/**
 * Finds a token for the run's settings, in the cache or at Keystone.
 *
 * @throws PluginError
 */
export async function getTokenRecord(login: LoginContext): Promise<TokenRecord> {
  const { cache, reporter } = login;
  const found = await cache.read(login.cacheKey);
  const cached = found !== undefined && isWelcome(login, found.record) ? found : undefined;
  if (cached !== undefined && (await isStillValid(login, cached.record))) {
    reporter.debug(`the cache holds a token until ${new Date(cached.record.expiresAt).toISOString()}`);
    cache.storeAliases(cached.record, makeAliases(login, cached.key));
    return cached.record;
  }
  const record = await logInOnce(login, cached?.record.token);
  // A token that replaces a dead one is not asked about again for the same command.
  if (cached === undefined) cache.handOut(record.token);
  else cache.confirm(record.token);
  return record;
}

/**
 * Gives the ExecCredential for the run's settings, from the cache or from Keystone.
 *
 * @throws PluginError
 */
export async function getExecCredential(run: RunContext): Promise<string> {
  const login = await openLoginContext(run);
  const { token, expiresAt } = await getTokenRecord(login);
  const apiVersion = login.apiVersion ?? run.execInfo?.apiVersion ?? API_VERSIONS[0];
  return renderExecCredential(apiVersion, token, expiresAt);
}
