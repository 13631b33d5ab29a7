/** The slow path, on one page: cache → lock → cache → terminal → Keystone → cache. */
import { isFresh } from '../cache/cached-token.ts';
import type { TokenRecord } from '../cache/cached-token.ts';
import { AuthRejected } from '../../shared/base/errors.ts';
import { renderExecCredential } from '../exec/exec-credential.ts';
import { complete } from './prompt-missing.ts';
import { exchange, isStillGood, renew } from './request-token.ts';
import type { Kept, Received } from './request-token.ts';
import { completeFromKeyring, giveUpKept } from './saved-secret.ts';
import { isSteady, makeAliases, makeKey, readCredential } from './cache-key.ts';
import { answerVersion, openLogin, warnOfInput } from './login-context.ts';
import type { Login, Run } from './login-context.ts';
import { listMissing } from '../auth-methods/missing-options.ts';
import { Cancelled } from '../terminal/cancelled.ts';

/** Beyond the holder's own deadline, for what it does before and after. */
const LOCK_SLACK_MS = 1_000;

/** A refused login is not tried again at once, see `cache/refusals.ts`. */
function refuseAgain(login: Login): void {
  const { given, cache, key, host } = login;
  if (given.isOn('force-refresh')) return;
  const at = cache.refusedAt(key, readCredential(login));
  if (at === undefined) return;
  const seconds = Math.max(1, Math.round((host.now() - at) / 1000));
  throw new AuthRejected('refused-before', `this login was refused ${seconds} s ago, and is not tried again yet`, {
    hint: 'another credential is tried at once, the same one after 30 s or with --force-refresh',
  });
}

/** A token, and the key of the cache that it belongs under. */
interface Obtained extends Received {
  readonly key: string;
}

/** Finds or asks for what is missing and logs in; whoever refuses, Keystone or the user, is not asked again for this command. */
async function logIn(login: Login): Promise<Obtained> {
  const { given, method, tls, host } = login;
  const kept = await completeFromKeyring(login);
  try {
    const config = await complete(login, kept?.config ?? given, (known) => listMissing(known, method));
    return { ...(await exchange(login, config)), key: makeKey(config, method, tls, host) };
  } catch (error) {
    const refused = error instanceof AuthRejected || error instanceof Cancelled;
    if (refused) login.cache.refused(login.key, readCredential(login));
    throw kept !== undefined && error instanceof AuthRejected ? await giveUpKept(login, kept, error) : error;
  }
}

/** The next token without anybody being asked; undefined where a whole login is needed. */
async function renewLast(login: Login, last: Kept | undefined): Promise<Obtained | undefined> {
  const renewed = last === undefined ? undefined : await renew(login, last);
  return renewed === undefined || last === undefined ? undefined : { ...renewed, key: last.key };
}

/** Whether a token of the cache may be given: it is fresh, and got since the run began where a new one is wanted. */
function isWelcome({ given, host, startedAt }: Login, record: TokenRecord): boolean {
  return isFresh(record, host.now()) && !(given.isOn('force-refresh') && record.receivedAt < startedAt);
}

/** Logs in, unless another process has just done so: whoever gets the lock first does it for all. */
async function logInOnce(login: Login, dead: string | undefined): Promise<TokenRecord> {
  const { cache, key, reporter, longestMs } = login;
  const isNew = (record: TokenRecord): boolean => record.token !== dead && isWelcome(login, record);
  const release = await cache.lock(key, {
    longestMs: longestMs + LOCK_SLACK_MS,
    isOver: async () => {
      const found = await cache.recall(key);
      return found !== undefined && isNew(found.record);
    },
    onLong: () => {
      reporter.progress('waiting for another login');
    },
  });
  try {
    const found = await cache.recall(key);
    if (found !== undefined && isNew(found.record)) {
      cache.keepAliases(found.record, makeAliases(login, found.key));
      return found.record;
    }
    refuseAgain(login);
    warnOfInput(login);
    const { record, whose, keep, key: finalKey } = (await renewLast(login, found)) ?? (await logIn(login));
    if (!keep) return record;
    if (isSteady(login)) await cache.keep(finalKey, record, makeAliases(login, finalKey), whose);
    else reporter.detail('the token is not kept: whose it is cannot be told for sure');
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
export async function findToken(login: Login): Promise<TokenRecord> {
  const { cache, reporter } = login;
  const found = await cache.recall(login.key);
  const cached = found !== undefined && isWelcome(login, found.record) ? found : undefined;
  if (cached !== undefined && (await isStillGood(login, cached.record))) {
    reporter.detail(`the cache holds a token until ${new Date(cached.record.expiresAt).toISOString()}`);
    cache.keepAliases(cached.record, makeAliases(login, cached.key));
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
export async function getToken(run: Run): Promise<string> {
  const login = await openLogin(run);
  const { token, expiresAt } = await findToken(login);
  return renderExecCredential(answerVersion(login), token, expiresAt);
}
