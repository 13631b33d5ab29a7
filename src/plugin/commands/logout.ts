import type { TokenMetadata } from '../cache/token-metadata.ts';
import { forgetIdentity } from '../cache/forget-identity.ts';
import type { ForgetResult } from '../cache/forget-identity.ts';
import type { CacheFolder } from '../cache/cache-folder.ts';
import { findCacheFolders } from '../cache/fallback-folders.ts';
import { listCachedIdentities } from '../cache/cached-identities.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { forgetSavedSecret, listSavedSecrets } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { EXIT } from '../cli/exit-status.ts';
import { CacheError, PluginError } from '../../shared/base/errors.ts';
import { PROGRAM_NAME } from '../../shared/base/program.ts';
import { identifySavedSecret } from '../login/apply-saved-secret.ts';
import type { LoginContext } from '../login/login-context.ts';
import { readCacheStorage } from '../login/open-login-context.ts';
import { revokeTokenIfPossible } from '../login/revoke-token.ts';
import type { RevocationResult } from '../login/revoke-token.ts';
import { makeCommandOption, OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Invocation, Command, OutputData } from './command.ts';
import { formatDuration, formatTimestamp } from './format-time.ts';
import { resolveCurrentLogin, openCurrentLogin } from './current-login.ts';
import type { CurrentLogin } from './current-login.ts';
import { renderTable } from './table.ts';
import { ownerToJson, UNKNOWN } from './token-owner.ts';

/** How long to wait for a login in progress: as long as it may take with the default deadline, in ms. */
const MAX_LOCK_WAIT_MS = 31_000;

/** How long Keystone may take to revoke a token, in ms, unless `--timeout` is shorter. */
const MAX_REVOKE_MS = 10_000;

/** An identity to forget. */
interface LogoutTarget {
  readonly key: string;
  readonly storages: readonly string[];
  /** Whether it is the login of the current settings. */
  readonly isCurrent: boolean;
}

/** A token that was cached, and what happened to it. */
interface TokenOutcome {
  readonly key: string;
  readonly record: TokenRecord;
  readonly metadata: TokenMetadata | undefined;
  readonly revocation: RevocationResult;
}

/** What was forgotten, what could not be forgotten, and which tokens are left. */
interface LogoutResult {
  readonly outcomes: readonly TokenOutcome[];
  readonly secrets: readonly SavedSecretIdentity[];
  readonly failures: readonly CacheError[];
  readonly kept: readonly CachedIdentity[];
}

const listKeys = ({ cacheKey, exchangeKey }: CurrentLogin): string[] =>
  exchangeKey === undefined ? [cacheKey] : [cacheKey, exchangeKey];

function listTargets(
  folder: CacheFolder,
  current: CurrentLogin | undefined,
  { all, now }: { all: boolean; now: number },
): LogoutTarget[] {
  const storages = new Map<string, Set<string>>();
  const add = (key: string, storage: string): void => {
    storages.set(key, (storages.get(key) ?? new Set()).add(storage));
  };
  const ownKeys = current === undefined ? [] : listKeys(current);
  const identities = listCachedIdentities(folder, now);
  // A run in the meantime must not make a new JWT: forget the Keystone tokens first.
  const isJwt = ({ metadata }: CachedIdentity): boolean => metadata?.exchange !== undefined;
  for (const { key, storage, metadata } of identities.toSorted((a, b) => Number(isJwt(a)) - Number(isJwt(b)))) {
    // The JWTs for other clusters too: they were made of the token that is about to be revoked.
    const isMadeOfOwn = current !== undefined && metadata?.exchange?.keystoneKey === current.cacheKey;
    if (all || isMadeOfOwn || ownKeys.includes(key)) add(key, storage);
  }
  // The keyring may hold a token that has no file.
  if (current !== undefined) for (const key of ownKeys) add(key, readCacheStorage(current.login.config));
  return [...storages].map(([key, names]) => ({ key, storages: [...names], isCurrent: ownKeys.includes(key) }));
}

async function forget(
  call: Invocation,
  folder: CacheFolder,
  target: LogoutTarget,
  login: LoginContext | undefined,
): Promise<ForgetResult> {
  const { host, reporter } = call;
  const result = await forgetIdentity({
    folder,
    host,
    key: target.key,
    partialKey: target.isCurrent ? login?.cacheKey : undefined,
    storages: target.storages,
    maxWaitMs: MAX_LOCK_WAIT_MS,
    waitFor: reporter.waitFor,
    onLongWait: () => {
      reporter.progress('waiting for a login in progress');
    },
  });
  if (result.isLoginPending) reporter.warn('a login is still in progress: its token will be cached');
  if (result.lockFailure !== undefined) {
    reporter.warn(`${result.lockFailure.message}; a login that is in progress will cache its token`);
  }
  return result;
}

async function revokeTokens(
  { host, reporter, runContext }: Invocation,
  target: LogoutTarget,
  { records, metadata }: ForgetResult,
  login: LoginContext | undefined,
): Promise<TokenOutcome[]> {
  const httpContext = { host, reporter, userAgent: runContext.userAgent };
  const deadlineMs = Math.min(login?.deadlineMs ?? MAX_REVOKE_MS, MAX_REVOKE_MS);
  const { key, isCurrent: isCurrentLogin } = target;
  return Promise.all(
    records.map(async (record) => {
      const request = { record, metadata, login, isCurrentLogin, httpContext, deadlineMs };
      return { key, record, metadata, revocation: await revokeTokenIfPossible(request) };
    }),
  );
}

/** Forgets saved secrets: with one, the next run would log in again without a prompt. */
async function forgetSecrets(
  { host, reporter }: Invocation,
  login: LoginContext | undefined,
  all: boolean,
): Promise<Pick<LogoutResult, 'secrets' | 'failures'>> {
  const own = login === undefined ? undefined : identifySavedSecret(login, login.config);
  const targets = listSavedSecrets(host).filter(({ key }) => all || key === own?.key);
  const secrets: SavedSecretIdentity[] = [];
  const failures: CacheError[] = [];
  for (const identity of targets) {
    try {
      if (await forgetSavedSecret(host, identity, reporter.waitFor)) secrets.push(identity);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      failures.push(new CacheError(`${error.message}, so it still holds ${identity.description}`));
    }
  }
  return { secrets, failures };
}

async function logOut(call: Invocation, login: LoginContext | undefined, all: boolean): Promise<LogoutResult> {
  const folders = findCacheFolders(call.host);
  if (folders.length === 0) return { outcomes: [], secrets: [], failures: [], kept: [] };
  const current = login === undefined ? undefined : resolveCurrentLogin(login, folders);
  const { secrets, failures } = await forgetSecrets(call, login, all);
  const removals: { target: LogoutTarget; removed: ForgetResult }[] = [];
  for (const folder of folders) {
    const targets = listTargets(folder, current, { all, now: call.host.now() });
    for (const target of targets) removals.push({ target, removed: await forget(call, folder, target, login) });
  }
  // Revoke only after all are forgotten, so that no other run uses a token that is about to be revoked.
  const outcomes = await Promise.all(removals.map(({ target, removed }) => revokeTokens(call, target, removed, login)));
  return {
    outcomes: outcomes.flat(),
    secrets,
    failures: [...failures, ...removals.flatMap(({ removed }) => removed.failures)],
    kept: folders.flatMap((folder) => listCachedIdentities(folder, call.host.now())),
  };
}

type Describe = (record: TokenRecord) => string;

const DESCRIPTIONS: Readonly<Record<RevocationResult['kind'], Describe>> = {
  revoked: () => 'revoked',
  ended: () => 'already expired',
  given: () => 'not revoked: it comes from a setting',
  foreign: ({ expiresAt }) =>
    `not revoked: it is the identity provider's own and expires at ${formatTimestamp(expiresAt)}`,
  exchanged: ({ expiresAt }) => `not revoked: the cluster accepts it until ${formatTimestamp(expiresAt)}`,
  'not-revoked': ({ expiresAt }) => `not revoked, expires at ${formatTimestamp(expiresAt)}`,
};

function outcomeToJson({ key, record, metadata, revocation }: TokenOutcome): OutputData {
  return {
    key,
    ...ownerToJson(metadata),
    keystone: record.endpoint ?? null,
    expiresAt: formatTimestamp(record.expiresAt),
    token: revocation.kind,
    because: 'because' in revocation ? revocation.because : null,
  };
}

/** Names the tokens of other logins: the user may have meant one of them. */
function renderKept(kept: readonly CachedIdentity[], now: number): string[] {
  if (kept.length === 0) return ['There was nothing to forget.'];
  const rows = kept.map(({ metadata, keystone, expiresAt }) => [
    metadata?.user ?? UNKNOWN,
    metadata?.scope ?? UNKNOWN,
    keystone ?? '-',
    formatDuration(expiresAt - now),
  ]);
  return [
    `There was nothing to forget for these settings. ${kept.length === 1 ? 'This token is' : 'These tokens are'} kept:`,
    ...renderTable(['USER', 'SCOPE', 'KEYSTONE', 'LEFT'], rows),
    `Forget all with "${PROGRAM_NAME} logout --all", or one with its settings or with --context NAME.`,
  ];
}

function identityToJson({ key, metadata, keystone, expiresAt }: CachedIdentity): OutputData {
  const { user, scope } = ownerToJson(metadata);
  return {
    key,
    user,
    scope,
    keystone: keystone ?? null,
    expiresAt: formatTimestamp(expiresAt),
  };
}

function render({ outcomes, secrets, kept }: LogoutResult, now: number): string[] {
  const rows = outcomes.map(({ record, metadata, revocation }) => [
    metadata?.user ?? UNKNOWN,
    metadata?.scope ?? UNKNOWN,
    record.endpoint ?? '-',
    DESCRIPTIONS[revocation.kind](record),
  ]);
  const table = rows.length === 0 ? [] : renderTable(['FORGOTTEN', 'SCOPE', 'KEYSTONE', 'TOKEN'], rows);
  const secretLines = secrets.map(({ description }) => `Removed from the keyring: ${description}`);
  const lines = [...table, ...secretLines];
  return lines.length === 0 ? renderKept(kept, now) : lines;
}

function chooseExitStatus({ outcomes, failures }: LogoutResult): number {
  if (failures.length > 0) return EXIT.internal;
  return outcomes.some(({ revocation }) => revocation.kind === 'not-revoked') ? EXIT.unreachable : EXIT.ok;
}

/** Forgets tokens and has Keystone revoke them. */
export const logoutCommand: Command = {
  words: ['logout'],
  task: 'Tidy up',
  summary: 'revoke the token of the current settings, and forget it and everything that could renew it',
  details: [
    'If Keystone does not answer, the token is forgotten but not revoked, and the exit status is 6: the ' +
      'token is valid until it expires. A token from a setting (OS_TOKEN, used as it is) is forgotten but not revoked.',
    'A secret that the keyring holds for later logins is forgotten too. If the settings hold a password, the ' +
      'next kubectl command logs in again.',
  ],
  options: [
    makeCommandOption({
      name: 'all',
      kind: 'switch',
      help:
        'all cached tokens and all saved secrets, not only those of the current settings; each token is ' +
        'revoked at the Keystone that issued it',
    }),
    OUTPUT_OPTION,
  ],
  getTokenOptions: 'login',
  examples: [
    { line: 'logout', summary: 'revoke and forget the token of the current settings' },
    { line: 'logout --all', summary: 'revoke and forget all tokens, and forget all saved secrets' },
  ],
  async run(call): Promise<CommandResult> {
    const all = call.ownConfig.isOn('all');
    const login = await openCurrentLogin(call.runContext);
    if (login instanceof PluginError && !all) throw login;
    const result = await logOut(call, login instanceof PluginError ? undefined : login, all);
    for (const { metadata, revocation, record } of result.outcomes) {
      if (revocation.kind !== 'not-revoked') continue;
      const token = metadata === undefined ? 'a token' : `the token of ${metadata.user} (${metadata.scope})`;
      call.reporter.warn(
        `${token} is not revoked, and valid until ${formatTimestamp(record.expiresAt)}: ${revocation.because}`,
      );
    }
    for (const { message } of result.failures) call.reporter.warn(message);
    return {
      lines: render(result, call.host.now()),
      data: {
        tokens: result.outcomes.map(outcomeToJson),
        secrets: result.secrets.map(({ option, description }) => ({ option, about: description })),
        failures: result.failures.map(({ message }) => message),
        kept: result.kept.map(identityToJson),
      },
      exitStatus: chooseExitStatus(result),
    };
  },
};
