import { listSavedSecrets } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import { findCacheFolder, listCachedIdentities } from '../cache/cached-identities.ts';
import type { CachedIdentity } from '../cache/cached-identities.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { describeSources } from '../../shared/options/option.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { makePrintable } from '../../shared/base/printable.ts';
import { OUTPUT } from './command.ts';
import type { Answer, Call, Command, Data } from './command.ts';
import { describeSpan, describeTime } from './describe-time.ts';
import { isPresent, locatePresent, readPresent } from './current-login.ts';
import type { Present } from './current-login.ts';
import { renderTable } from './table.ts';

const UNKNOWN = 'unknown';

/** What an answer is made of. */
interface Found {
  readonly identities: readonly CachedIdentity[];
  readonly secrets: readonly SavedSecretIdentity[];
  readonly present: Present | undefined;
  /** Why there are no present settings. */
  readonly problem: PluginError | undefined;
  /** ms since 1970, UTC. */
  readonly now: number;
}

function describeIdentity(identity: CachedIdentity, { present, now }: Found): Data {
  const { key, storage, expiresAt, isRenewable, keystone, metadata } = identity;
  return {
    key,
    present: isPresent(present, identity),
    user: metadata?.user ?? null,
    domain: metadata?.domain ?? null,
    scope: metadata?.scope ?? null,
    method: metadata?.method ?? null,
    keystone: keystone ?? null,
    storage,
    expiresAt: describeTime(expiresAt),
    secondsLeft: Math.max(0, Math.floor((expiresAt - now) / 1000)),
    renewable: isRenewable,
    given: metadata === undefined ? null : metadata.given === true,
  };
}

function rowOf(identity: CachedIdentity, { present, now }: Found): string[] {
  const { storage, expiresAt, isRenewable, keystone, metadata } = identity;
  return [
    isPresent(present, identity) ? '*' : '',
    metadata?.user ?? UNKNOWN,
    metadata === undefined ? UNKNOWN : (metadata.domain ?? '-'),
    metadata?.scope ?? UNKNOWN,
    metadata?.method ?? UNKNOWN,
    keystone ?? '-',
    storage,
    describeSpan(expiresAt - now),
    isRenewable ? 'yes' : 'no',
  ];
}

const HEAD = ['', 'USER', 'DOMAIN', 'SCOPE', 'METHOD', 'KEYSTONE', 'KEPT IN', 'LEFT', 'RENEWABLE'];

function isThere({ identities, present }: Found): boolean {
  return identities.some((identity) => isPresent(present, identity));
}

/** Whom the present settings mean, in one line. */
function describePresent(found: Found): string {
  const { present, problem } = found;
  if (present === undefined)
    return `The present settings cannot be followed: ${problem?.message ?? 'nobody knows why'}`;
  if (isThere(found)) return '* is what the present settings use.';
  const { config, method } = present.login;
  const missing = findMissingOptions(config, method).map(describeSources);
  const lacking = missing.length === 0 ? '' : `, and do not say ${missing.join(', ')}`;
  const url = readAuthUrl(config);
  return `The present settings (${method.names[0] ?? ''}${url === undefined ? '' : ` at ${url}`}) have no token here${lacking}.`;
}

function presentData(found: Found): Data {
  const { present } = found;
  if (present === undefined) return null;
  const { config, method } = present.login;
  return {
    key: present.key,
    method: method.names[0] ?? null,
    keystone: readAuthUrl(config) ?? null,
    missing: findMissingOptions(config, method).map(({ name }) => name),
    loggedIn: isThere(found),
  };
}

function answer(found: Found): Answer {
  const { identities, secrets, problem } = found;
  const table =
    identities.length === 0
      ? 'No token is kept.'
      : renderTable(
          HEAD,
          identities.map((identity) => rowOf(identity, found)),
        );
  const kept = secrets.map(({ description }) => makePrintable(`Kept in the keyring for later logins: ${description}`));
  return {
    text: [table, makePrintable(describePresent(found)), ...kept].join('\n'),
    data: {
      identities: identities.map((identity) => describeIdentity(identity, found)),
      present: presentData(found),
      problem: problem?.message ?? null,
      secrets: secrets.map(({ option, description }) => ({ option, about: description })),
    },
  };
}

/** Says whose tokens are kept. */
export const status: Command = {
  words: ['status'],
  about: 'list the tokens that are kept: whose they are, for what, and how long they live; nobody is asked',
  details: [
    'Neither Keystone nor the keyring is asked: a token that was revoked elsewhere is listed until it ends. A token that an earlier version kept is listed as unknown.',
  ],
  options: [OUTPUT],
  takes: 'login',
  examples: [
    { line: 'status', about: 'whose tokens there are, and which one the present settings use' },
    { line: 'status -o json', about: 'the same for programs' },
  ],
  async run({ host, run }: Call): Promise<Answer> {
    const given = await readPresent(run);
    const folder = findCacheFolder(host);
    const now = host.now();
    return answer({
      identities: folder === undefined ? [] : listCachedIdentities(folder, now),
      secrets: listSavedSecrets(host),
      present: given instanceof PluginError ? undefined : locatePresent(given, folder),
      problem: given instanceof PluginError ? given : undefined,
      now,
    });
  },
};
