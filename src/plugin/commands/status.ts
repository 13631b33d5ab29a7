import { listSavedSecrets } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import { findCacheFolder } from '../cache/cache-folder.ts';
import { listCachedIdentities } from '../cache/cached-identities.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { describeSources } from '../../shared/options/option.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { makePrintable } from '../../shared/base/text.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Invocation, Command, OutputData } from './command.ts';
import { formatDuration, formatTimestamp } from './format-time.ts';
import { isCurrentLogin, resolveCurrentLogin, openCurrentLogin } from './current-login.ts';
import type { CurrentLogin } from './current-login.ts';
import { renderTable } from './table.ts';

const UNKNOWN = 'unknown';

/** What an answer is made of. */
interface StatusReport {
  readonly identities: readonly CachedIdentity[];
  readonly secrets: readonly SavedSecretIdentity[];
  readonly currentLogin: CurrentLogin | undefined;
  /** Why there are no present settings. */
  readonly configError: PluginError | undefined;
  /** ms since 1970, UTC. */
  readonly now: number;
}

function describeIdentity(identity: CachedIdentity, { currentLogin, now }: StatusReport): OutputData {
  const { key, storage, expiresAt, isRenewable, keystone, metadata } = identity;
  return {
    key,
    present: isCurrentLogin(currentLogin, identity),
    user: metadata?.user ?? null,
    domain: metadata?.domain ?? null,
    scope: metadata?.scope ?? null,
    method: metadata?.method ?? null,
    keystone: keystone ?? null,
    storage,
    expiresAt: formatTimestamp(expiresAt),
    secondsLeft: Math.max(0, Math.floor((expiresAt - now) / 1000)),
    renewable: isRenewable,
    given: metadata === undefined ? null : metadata.isExistingToken === true,
  };
}

function rowOf(identity: CachedIdentity, { currentLogin, now }: StatusReport): string[] {
  const { storage, expiresAt, isRenewable, keystone, metadata } = identity;
  return [
    isCurrentLogin(currentLogin, identity) ? '*' : '',
    metadata?.user ?? UNKNOWN,
    metadata === undefined ? UNKNOWN : (metadata.domain ?? '-'),
    metadata?.scope ?? UNKNOWN,
    metadata?.method ?? UNKNOWN,
    keystone ?? '-',
    storage,
    formatDuration(expiresAt - now),
    isRenewable ? 'yes' : 'no',
  ];
}

const HEAD = ['', 'USER', 'DOMAIN', 'SCOPE', 'METHOD', 'KEYSTONE', 'KEPT IN', 'LEFT', 'RENEWABLE'];

function isThere({ identities, currentLogin }: StatusReport): boolean {
  return identities.some((identity) => isCurrentLogin(currentLogin, identity));
}

/** Whom the present settings mean, in one line. */
function describeCurrentLogin(found: StatusReport): string {
  const { currentLogin, configError } = found;
  if (currentLogin === undefined)
    return `The present settings cannot be followed: ${configError?.message ?? 'nobody knows why'}`;
  if (isThere(found)) return '* is what the present settings use.';
  const { config, method } = currentLogin.login;
  const missing = findMissingOptions(config, method).map(describeSources);
  const lacking = missing.length === 0 ? '' : `, and do not say ${missing.join(', ')}`;
  const url = readAuthUrl(config);
  return `The present settings (${method.name}${url === undefined ? '' : ` at ${url}`}) have no token here${lacking}.`;
}

function currentLoginToJson(found: StatusReport): OutputData {
  const { currentLogin } = found;
  if (currentLogin === undefined) return null;
  const { config, method } = currentLogin.login;
  return {
    key: currentLogin.cacheKey,
    method: method.name,
    keystone: readAuthUrl(config) ?? null,
    missing: findMissingOptions(config, method).map(({ name }) => name),
    loggedIn: isThere(found),
  };
}

function answer(found: StatusReport): CommandResult {
  const { identities, secrets, configError } = found;
  const table =
    identities.length === 0
      ? 'No token is kept.'
      : renderTable(
          HEAD,
          identities.map((identity) => rowOf(identity, found)),
        );
  const kept = secrets.map(({ description }) => makePrintable(`Kept in the keyring for later logins: ${description}`));
  return {
    text: [table, makePrintable(describeCurrentLogin(found)), ...kept].join('\n'),
    data: {
      identities: identities.map((identity) => describeIdentity(identity, found)),
      present: currentLoginToJson(found),
      problem: configError?.message ?? null,
      secrets: secrets.map(({ option, description }) => ({ option, about: description })),
    },
  };
}

/** Says whose tokens are kept. */
export const statusCommand: Command = {
  words: ['status'],
  summary: 'list the tokens that are kept: whose they are, for what, and how long they live; nobody is asked',
  details: [
    'Neither Keystone nor the keyring is asked: a token that was revoked elsewhere is listed until it ends. A token that an earlier version kept is listed as unknown.',
  ],
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [
    { line: 'status', summary: 'whose tokens there are, and which one the present settings use' },
    { line: 'status -o json', summary: 'the same for programs' },
  ],
  async run({ host, runContext }: Invocation): Promise<CommandResult> {
    const given = await openCurrentLogin(runContext);
    const folder = findCacheFolder(host);
    const now = host.now();
    return answer({
      identities: folder === undefined ? [] : listCachedIdentities(folder, now),
      secrets: listSavedSecrets(host),
      currentLogin: given instanceof PluginError ? undefined : resolveCurrentLogin(given, folder),
      configError: given instanceof PluginError ? given : undefined,
      now,
    });
  },
};
