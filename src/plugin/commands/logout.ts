import type { TokenMetadata } from '../cache/token-metadata.ts';
import { forgetIdentity } from '../cache/forget-identity.ts';
import type { ForgetResult } from '../cache/forget-identity.ts';
import type { CacheFolder } from '../cache/cache-folder.ts';
import { findCacheFolder } from '../cache/cache-folder.ts';
import { listCachedIdentities } from '../cache/cached-identities.ts';
import { forgetSavedSecret, listSavedSecrets } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { EXIT } from '../cli/exit-status.ts';
import { CacheError, PluginError } from '../../shared/base/errors.ts';
import { identifySavedSecret } from '../login/apply-saved-secret.ts';
import type { LoginContext } from '../login/login-context.ts';
import { revokeTokenIfPossible } from '../login/revoke-token.ts';
import type { RevocationResult } from '../login/revoke-token.ts';
import { makePrintable } from '../../shared/base/text.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Invocation, Command, OutputData } from './command.ts';
import { formatTimestamp } from './format-time.ts';
import { resolveCurrentLogin, openCurrentLogin, getCacheStorage } from './current-login.ts';
import type { CurrentLogin } from './current-login.ts';
import { renderTable } from './table.ts';

/** A login that is under way is waited for as long as Keystone may take for it, in ms. */
const LOCK_MS = 31_000;

/** What a Keystone has for ending a token, in ms, where `--timeout` does not say less. */
const REVOKE_MS = 10_000;

/** An identity to forget. */
interface LogoutTarget {
  readonly key: string;
  readonly storages: readonly string[];
  /** Whether the present settings lead to it. */
  readonly present: boolean;
}

/** A token that was kept, and what became of it. */
interface TokenOutcome {
  readonly key: string;
  readonly record: TokenRecord;
  readonly about: TokenMetadata | undefined;
  readonly fate: RevocationResult;
}

/** Of one identity or all: what was forgotten, and what was not. */
interface LogoutResult {
  readonly outcomes: readonly TokenOutcome[];
  readonly secrets: readonly SavedSecretIdentity[];
  readonly failures: readonly CacheError[];
}

function listTargets(
  folder: CacheFolder,
  present: CurrentLogin | undefined,
  { all, now }: { all: boolean; now: number },
): LogoutTarget[] {
  const storages = new Map<string, Set<string>>();
  const add = (key: string, storage: string): void => {
    storages.set(key, (storages.get(key) ?? new Set()).add(storage));
  };
  for (const { key, storage } of listCachedIdentities(folder, now))
    if (all || key === present?.cacheKey) add(key, storage);
  // A keyring may hold what no list tells of.
  if (present !== undefined) add(present.cacheKey, getCacheStorage(present.login));
  return [...storages].map(([key, names]) => ({ key, storages: [...names], present: key === present?.cacheKey }));
}

async function forget(
  call: Invocation,
  folder: CacheFolder,
  target: LogoutTarget,
  login: LoginContext | undefined,
): Promise<ForgetResult> {
  const { host, reporter } = call;
  const forgotten = await forgetIdentity({
    folder,
    host,
    key: target.key,
    partialKey: target.present ? login?.cacheKey : undefined,
    storages: target.storages,
    maxWaitMs: LOCK_MS,
    onLongWait: () => {
      reporter.progress('waiting for a login that is under way');
    },
  });
  if (forgotten.isLoginPending) reporter.warn('a login is still under way: the token that it gets is kept');
  return forgotten;
}

async function giveAllBack(
  { host, reporter, runContext }: Invocation,
  target: LogoutTarget,
  { records, metadata }: ForgetResult,
  login: LoginContext | undefined,
): Promise<TokenOutcome[]> {
  const httpContext = { host, reporter, userAgent: runContext.userAgent };
  const deadlineMs = Math.min(login?.deadlineMs ?? REVOKE_MS, REVOKE_MS);
  const { key, present: isCurrentLogin } = target;
  return Promise.all(
    records.map(async (record) => {
      const fate = await revokeTokenIfPossible({ record, metadata, login, isCurrentLogin, httpContext, deadlineMs });
      return { key, record, about: metadata, fate };
    }),
  );
}

/** A secret that is kept for later logins would make the next run log in again without anybody being asked. */
async function forgetSecrets(
  { host }: Invocation,
  login: LoginContext | undefined,
  all: boolean,
): Promise<Pick<LogoutResult, 'secrets' | 'failures'>> {
  const own = login === undefined ? undefined : identifySavedSecret(login, login.config);
  const chosen = listSavedSecrets(host).filter(({ key }) => all || key === own?.key);
  const secrets: SavedSecretIdentity[] = [];
  const failures: CacheError[] = [];
  for (const identity of chosen) {
    try {
      if (await forgetSavedSecret(host, identity)) secrets.push(identity);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      failures.push(new CacheError(`${error.message}, so this stays in it: ${identity.description}`));
    }
  }
  return { secrets, failures };
}

async function logOut(call: Invocation, login: LoginContext | undefined, all: boolean): Promise<LogoutResult> {
  const folder = findCacheFolder(call.host);
  if (folder === undefined) return { outcomes: [], secrets: [], failures: [] };
  const present = login === undefined ? undefined : resolveCurrentLogin(login, folder);
  const { secrets, failures } = await forgetSecrets(call, login, all);
  const targets = listTargets(folder, present, { all, now: call.host.now() });
  const done: { target: LogoutTarget; forgotten: ForgetResult }[] = [];
  for (const target of targets) done.push({ target, forgotten: await forget(call, folder, target, login) });
  // Forgotten first: whoever looks while Keystone is asked must not find a token that is about to end.
  const outcomes = await Promise.all(done.map(({ target, forgotten }) => giveAllBack(call, target, forgotten, login)));
  return {
    outcomes: outcomes.flat(),
    secrets,
    failures: [...failures, ...done.flatMap(({ forgotten }) => forgotten.failures)],
  };
}

type Describe = (record: TokenRecord) => string;

const FATES: Readonly<Record<RevocationResult['kind'], Describe>> = {
  revoked: () => 'revoked',
  ended: () => 'had ended',
  given: () => 'not revoked: it was given to this program',
  foreign: ({ expiresAt }) => `not revoked: the identity provider's own, ends at ${formatTimestamp(expiresAt)}`,
  'not-revoked': ({ expiresAt }) => `not revoked, ends at ${formatTimestamp(expiresAt)}`,
};

function dataOf({ key, record, about, fate }: TokenOutcome): OutputData {
  return {
    key,
    user: about?.user ?? null,
    domain: about?.domain ?? null,
    scope: about?.scope ?? null,
    method: about?.method ?? null,
    keystone: record.endpoint ?? null,
    expiresAt: formatTimestamp(record.expiresAt),
    token: fate.kind,
    because: 'because' in fate ? fate.because : null,
  };
}

function render({ outcomes, secrets }: LogoutResult): string {
  const rows = outcomes.map(({ record, about, fate }) => [
    about?.user ?? 'unknown',
    about?.scope ?? 'unknown',
    record.endpoint ?? '-',
    FATES[fate.kind](record),
  ]);
  const table = rows.length === 0 ? [] : [renderTable(['FORGOTTEN', 'SCOPE', 'KEYSTONE', 'TOKEN'], rows)];
  const kept = secrets.map(({ description }) => makePrintable(`Forgotten by the keyring: ${description}`));
  return [...table, ...kept].join('\n') || 'There was nothing to forget.';
}

function statusOf({ outcomes, failures }: LogoutResult): number {
  if (failures.length > 0) return EXIT.internal;
  return outcomes.some(({ fate }) => fate.kind === 'not-revoked') ? EXIT.unreachable : EXIT.ok;
}

/** Forgets tokens and has Keystone end them. */
export const logoutCommand: Command = {
  words: ['logout'],
  summary: 'have Keystone revoke the token of the present settings, and forget it with all that could renew it',
  details: [
    'Where Keystone cannot be asked, the token is forgotten all the same, and the exit status is 6: it is good until it ends. A token that was given to this program (OS_TOKEN, used as it is) is forgotten and not revoked.',
    'What the keyring keeps for later logins is forgotten too. Settings that hold a password log in again when kubectl runs next.',
  ],
  options: [
    {
      name: 'all',
      group: 'Command',
      kind: 'switch',
      file: 'nowhere',
      help: 'every token and every secret that is kept, whatever the settings; each token goes to the Keystone that it is from',
    },
    OUTPUT_OPTION,
  ],
  getTokenOptions: 'login',
  examples: [
    { line: 'logout', summary: 'revoke and forget the token of the present settings' },
    { line: 'logout --all', summary: 'revoke and forget all that is kept' },
  ],
  async run(call): Promise<CommandResult> {
    const all = call.ownConfig.isOn('all');
    const given = await openCurrentLogin(call.runContext);
    if (given instanceof PluginError && !all) throw given;
    const result = await logOut(call, given instanceof PluginError ? undefined : given, all);
    for (const { about, fate, record } of result.outcomes) {
      if (fate.kind !== 'not-revoked') continue;
      const whose = about === undefined ? 'a token' : `the token of ${about.user} (${about.scope})`;
      call.reporter.warn(
        `${whose} is not revoked, and good until ${formatTimestamp(record.expiresAt)}: ${fate.because}`,
      );
    }
    for (const { message } of result.failures) call.reporter.warn(message);
    return {
      text: render(result),
      data: {
        tokens: result.outcomes.map(dataOf),
        secrets: result.secrets.map(({ option, description }) => ({ option, about: description })),
        failures: result.failures.map(({ message }) => message),
      },
      exitStatus: statusOf(result),
    };
  },
};
