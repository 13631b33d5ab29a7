import { listSavedSecrets } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import { findCacheFolders } from '../cache/fallback-folders.ts';
import { listCachedIdentities } from '../cache/cached-identities.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { describeSources } from '../../shared/options/option.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { OUTPUT_OPTION } from './command.ts';
import type { CommandResult, Invocation, Command, OutputData } from './command.ts';
import { formatDuration, formatTimestamp, secondsUntil } from './format-time.ts';
import { isCurrentLogin, resolveCurrentLogin, openCurrentLogin } from './current-login.ts';
import type { CurrentLogin } from './current-login.ts';
import { renderTable } from './table.ts';
import { ownerToJson, UNKNOWN } from './token-owner.ts';

/** Everything that the command shows. */
interface StatusReport {
  readonly identities: readonly CachedIdentity[];
  readonly secrets: readonly SavedSecretIdentity[];
  readonly currentLogin: CurrentLogin | undefined;
  /** Why the current settings cannot be used. */
  readonly configError: PluginError | undefined;
  /** ms since 1970, UTC. */
  readonly now: number;
}

function identityToJson(identity: CachedIdentity, { currentLogin, now }: StatusReport): OutputData {
  const { key, storage, expiresAt, isRenewable, keystone, metadata } = identity;
  return {
    key,
    current: isCurrentLogin(currentLogin, identity),
    ...ownerToJson(metadata),
    keystone: keystone ?? null,
    storage,
    expiresAt: formatTimestamp(expiresAt),
    secondsLeft: secondsUntil(expiresAt, now),
    renewable: isRenewable,
    given: metadata === undefined ? null : metadata.isExistingToken === true,
    issuer: metadata?.exchange?.issuer ?? null,
    audience: metadata?.exchange?.audience ?? null,
  };
}

function makeRow(identity: CachedIdentity, { currentLogin, now }: StatusReport): string[] {
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

const HEADINGS = ['', 'USER', 'DOMAIN', 'SCOPE', 'METHOD', 'KEYSTONE', 'STORAGE', 'LEFT', 'RENEWABLE'];

function isLoggedIn({ identities, currentLogin }: StatusReport): boolean {
  return identities.some((identity) => isCurrentLogin(currentLogin, identity));
}

/** Describes the login of the current settings in one line. */
function describeCurrentLogin(report: StatusReport): string {
  const { currentLogin, configError } = report;
  if (currentLogin === undefined)
    return `The current settings cannot be used: ${configError?.message ?? 'the reason is unknown'}`;
  const { config, method, exchange } = currentLogin.login;
  if (isLoggedIn(report)) {
    if (exchange === undefined) return '* marks the token that the current settings use.';
    return report.identities.some(({ key }) => key === currentLogin.exchangeKey)
      ? `* marks the tokens that the current settings use; the cluster gets the one for ${exchange.audience}.`
      : `* marks the token that the current settings use; the next command exchanges it for ${exchange.audience}.`;
  }
  const missing = findMissingOptions(config, method).map(describeSources);
  const lack = missing.length === 0 ? '' : `, and lack ${missing.join(', ')}`;
  const url = readAuthUrl(config);
  return `The current settings (${method.name}${url === undefined ? '' : ` at ${url}`}) have no cached token${lack}.`;
}

function currentLoginToJson(report: StatusReport): OutputData {
  const { currentLogin } = report;
  if (currentLogin === undefined) return null;
  const { cacheKey, exchangeKey, login } = currentLogin;
  const { config, method, exchange } = login;
  return {
    key: cacheKey,
    method: method.name,
    keystone: readAuthUrl(config) ?? null,
    missing: findMissingOptions(config, method).map(({ name }) => name),
    loggedIn: isLoggedIn(report),
    exchange:
      exchange === undefined || exchangeKey === undefined
        ? null
        : { issuer: exchange.issuer.url, audience: exchange.audience, key: exchangeKey },
  };
}

function makeResult(report: StatusReport): CommandResult {
  const { identities, secrets, configError } = report;
  const table =
    identities.length === 0
      ? ['No token is cached.']
      : renderTable(
          HEADINGS,
          identities.map((identity) => makeRow(identity, report)),
        );
  const secretLines = secrets.map(({ description }) => `Saved in the keyring: ${description}`);
  return {
    lines: [...table, describeCurrentLogin(report), ...secretLines],
    data: {
      identities: identities.map((identity) => identityToJson(identity, report)),
      current: currentLoginToJson(report),
      problem: configError?.message ?? null,
      secrets: secrets.map(({ option, description }) => ({ option, about: description })),
    },
  };
}

/** Lists the cached tokens. */
export const statusCommand: Command = {
  words: ['status'],
  task: 'Find out',
  summary: 'list the cached tokens with their users, scopes and lifetimes, without asking Keystone',
  details: [
    'The command asks neither Keystone nor the keyring: a token that was revoked elsewhere is listed until ' +
      'it expires. A token that an earlier version cached is listed as unknown.',
  ],
  options: [OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [
    { line: 'status', summary: 'show the tokens, and which one the current settings use' },
    { line: 'status -o json', summary: 'the same for programs' },
  ],
  async run({ host, runContext }: Invocation): Promise<CommandResult> {
    const login = await openCurrentLogin(runContext);
    const folders = findCacheFolders(host);
    const now = host.now();
    return makeResult({
      identities: folders.flatMap((folder) => listCachedIdentities(folder, now)),
      secrets: listSavedSecrets(host),
      currentLogin: login instanceof PluginError ? undefined : resolveCurrentLogin(login, folders),
      configError: login instanceof PluginError ? login : undefined,
      now,
    });
  },
};
