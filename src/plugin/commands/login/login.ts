import type { TokenRecord } from '../../cache/token-record.ts';
import type { NamedAlias } from '../../cache/token-cache.ts';
import type { ResolvedConfig } from '../../../shared/options/resolve-config.ts';
import { objectAt } from '../../../shared/base/json.ts';
import { promptForMissing } from '../../login/prompt-missing.ts';
import { isKeyUnchanged, computeCacheKey } from '../../login/cache-key.ts';
import { openLoginContext, warnAboutSettings } from '../../login/login-context.ts';
import type { LoginContext, Reporter } from '../../login/login-context.ts';
import { findMissingOptions } from '../../auth-methods/missing-options.ts';
import { makeTerminalUser } from '../../terminal/terminal-user.ts';
import { OUTPUT } from '../command.ts';
import type { Answer, Call, Command, Data } from '../command.ts';
import { describeSpan, describeTime } from '../describe-time.ts';
import { choosePlace } from './choose.ts';
import { keepNewCredential, keepOwnSecret, requireKeepable, requireKeyring } from './save-secret.ts';
import type { KeptCredential } from './save-secret.ts';
import { logIn } from './log-in.ts';
import type { LoggedIn } from './log-in.ts';
import { describeFlags, describeVariables, listChosen, listSettings, settingsData } from './settings.ts';
import type { Chosen } from './settings.ts';
import { readWish, WISH_OPTIONS } from './save-options.ts';
import type { Wish } from './save-options.ts';
import { describeNamed, describeTokenScope, readNamed } from '../keystone-entity.ts';
import { renderPairs } from '../table.ts';

/** The settings are read twice: once as they are, once with what was chosen. One warning of each will do. */
const quietly = (reporter: Reporter): Reporter => ({ ...reporter, warn: () => undefined });

/** A run that has been told as little as possible must find the token again: as after the questions of get-token. */
function listAliases(before: LoginContext, key: string): NamedAlias[] {
  const lacksNames = findMissingOptions(before.config, before.method).some(({ secret }) => secret !== true);
  return lacksNames && before.cacheKey !== key ? [[before.cacheKey, { key, apiVersion: undefined, files: [] }]] : [];
}

async function keepToken(before: LoginContext, login: LoginContext, { config, received }: LoggedIn): Promise<void> {
  const { record, cacheable, owner } = received;
  if (!cacheable) return;
  const key = computeCacheKey(config, login.method, login.tls, login.host);
  if (isKeyUnchanged(login)) await login.cache.store(key, record, listAliases(before, key), owner);
  else login.reporter.warn('the token is not kept: whose it is cannot be told for sure');
}

/** What is left in the keyring. */
interface Left {
  readonly about?: string;
  readonly credential?: KeptCredential;
}

async function leave(wish: Wish, login: LoginContext, done: LoggedIn, placed: readonly Chosen[]): Promise<Left> {
  if (wish.keep === 'credential') {
    const credential = await keepNewCredential(login, done, wish.wanted, placed);
    return { about: credential.about, credential };
  }
  return wish.keep === 'secret' ? { about: await keepOwnSecret(login, done.config) } : {};
}

/** What is said of a login. */
interface Story {
  readonly done: LoggedIn;
  readonly left: Left;
  readonly record: TokenRecord;
  readonly chosen: readonly Chosen[];
  /** ms since 1970, UTC. */
  readonly now: number;
}

function tell({ done: { facts }, left, record, chosen, now }: Story): Answer {
  const user = readNamed(objectAt(facts, 'user'));
  const project = readNamed(objectAt(facts, 'project'));
  const { expiresAt } = record;
  const scope = facts === undefined ? undefined : describeTokenScope(facts);
  const made = left.credential?.credential;
  const text = renderPairs([
    ['User', describeNamed(user)],
    ['Project', describeNamed(project)],
    ['Scope', scope],
    ['Token ends', `${describeTime(expiresAt)} (in ${describeSpan(expiresAt - now)})`],
    ['Application credential', made === undefined ? undefined : `${made.name} (${made.id})`],
    ['In the keyring', left.about],
    ['Set for the next time', describeFlags(chosen) || undefined],
    ['Or as variables', describeVariables(chosen) || undefined],
  ]);
  const data: Data = {
    user: user === undefined ? null : { ...user },
    project: project === undefined ? null : { ...project },
    scope: scope ?? null,
    expiresAt: describeTime(expiresAt),
    secondsLeft: Math.max(0, Math.floor((expiresAt - now) / 1000)),
    keyring: left.about ?? null,
    applicationCredential: made === undefined ? null : { id: made.id, name: made.name },
    settings: settingsData(chosen),
  };
  return { text, data };
}

async function run({ host, own, flags, run: given, reporter }: Call): Promise<Answer> {
  const wish = readWish(own, host.now());
  const before = await openLoginContext({ ...given, reporter: quietly(reporter) });
  if (wish.keep !== 'nothing') await requireKeyring(host);
  const placed = await choosePlace(given, makeTerminalUser({ host, canPrompt: true, writeLine: reporter.info }));
  const login = await openLoginContext({ ...given, flags: new Map([...flags, ...placed]) });
  if (wish.keep === 'secret') requireKeepable(login);
  warnAboutSettings(login);
  const isMissing = (known: ResolvedConfig): ReturnType<typeof findMissingOptions> =>
    findMissingOptions(known, login.method);
  const config = await promptForMissing(login, login.config, isMissing, { withoutProject: true });
  const done = await logIn(login, config);
  const place = listSettings(placed);
  const left = await leave(wish, login, done, place);
  await keepToken(before, login, done);
  const chosen = left.credential?.chosen ?? [...place, ...listChosen(login.config, done.config)];
  const record = left.credential?.record ?? done.received.record;
  return tell({ done, left, record, chosen, now: host.now() });
}

/** Logs in with questions where something is open, and leaves what later runs need. */
export const login: Command = {
  words: ['login'],
  about: 'log in, choosing cloud, way and project from lists, and keep the token',
  details: [
    'What was chosen is printed as flags and as variables: put one or the other where kubectl runs this program (args or env of the kubeconfig), and nothing is asked until the token ends.',
    'With --save-secret or --create-application-credential nothing is asked after that either: the secret is in the keyring of this system, for this user at this Keystone alone, and get-token takes it where none is set. A secret that Keystone refuses is forgotten.',
  ],
  options: [...WISH_OPTIONS, OUTPUT],
  takes: 'login',
  examples: [
    { line: 'login', about: 'ask for whatever is not set' },
    { line: 'login --os-cloud prod --save-secret', about: 'log in, and never ask for the password again' },
    {
      line: 'login --os-cloud prod --create-application-credential --role member --expires 90d',
      about: 'leave a credential of less power in the keyring instead of the password',
    },
  ],
  run,
};
