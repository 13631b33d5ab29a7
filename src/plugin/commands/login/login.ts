import type { TokenRecord } from '../../cache/token-record.ts';
import type { NamedAlias } from '../../cache/token-cache.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { objectAt } from '../../../shared/base/json.ts';
import { promptForMissing } from '../../login/prompt-missing.ts';
import { isKeyUnchanged, computeCacheKey } from '../../login/cache-key.ts';
import { openLoginContext, warnAboutSettings } from '../../login/open-login-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import type { Reporter } from '../../login/reporter.ts';
import { findMissingOptions } from '../../auth-methods/missing-options.ts';
import { makeTerminalUser } from '../../terminal/terminal-user.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command, OutputData } from '../command.ts';
import { formatDuration, formatTimestamp } from '../format-time.ts';
import { chooseCloudAndMethod } from './choose.ts';
import { createAndSaveCredential, saveOwnSecret, requireSavableSecret, requireKeyring } from './save-secret.ts';
import type { SavedCredential } from './save-secret.ts';
import { logInToProject } from './log-in-to-project.ts';
import type { LoginResult } from './log-in-to-project.ts';
import {
  formatFlags,
  formatVariables,
  listAddedOptionValues,
  listOptionValues,
  optionValuesToJson,
} from './option-values.ts';
import type { OptionValue } from './option-values.ts';
import { readSaveOptions, SAVE_OPTIONS } from './save-options.ts';
import type { SaveOptions } from './save-options.ts';
import { describeEntity, describeTokenScope, readEntity } from '../keystone-entity.ts';
import { renderPairs } from '../table.ts';

/** The settings are read twice: once as they are, once with what was chosen. One warning of each will do. */
const quietly = (reporter: Reporter): Reporter => ({ ...reporter, warn: () => undefined });

/** A run that has been told as little as possible must find the token again: as after the questions of get-token. */
function listAliases(before: LoginContext, key: string): NamedAlias[] {
  const lacksNames = findMissingOptions(before.config, before.method).some(({ secret }) => secret !== true);
  return lacksNames && before.cacheKey !== key ? [[before.cacheKey, { key, apiVersion: undefined, files: [] }]] : [];
}

async function storeToken(before: LoginContext, login: LoginContext, { config, received }: LoginResult): Promise<void> {
  const { record, cacheable, owner } = received;
  if (!cacheable) return;
  const key = computeCacheKey(config, login.method, login.tls, login.host);
  if (isKeyUnchanged(login)) await login.cache.store(key, record, listAliases(before, key), owner);
  else login.reporter.warn('the token is not kept: whose it is cannot be told for sure');
}

/** What is left in the keyring. */
interface SaveResult {
  readonly about?: string;
  readonly credential?: SavedCredential;
}

async function saveRequestedSecret(
  wish: SaveOptions,
  login: LoginContext,
  done: LoginResult,
  placed: readonly OptionValue[],
): Promise<SaveResult> {
  if (wish.save === 'credential') {
    const credential = await createAndSaveCredential(login, done, wish.credentialSpec, placed);
    return { about: credential.about, credential };
  }
  return wish.save === 'secret' ? { about: await saveOwnSecret(login, done.config) } : {};
}

/** What is said of a login. */
interface LoginSummary {
  readonly loginResult: LoginResult;
  readonly saveResult: SaveResult;
  readonly record: TokenRecord;
  readonly optionValues: readonly OptionValue[];
  /** ms since 1970, UTC. */
  readonly now: number;
}

function renderSummary({
  loginResult: { tokenDetails },
  saveResult,
  record,
  optionValues,
  now,
}: LoginSummary): CommandResult {
  const user = readEntity(objectAt(tokenDetails, 'user'));
  const project = readEntity(objectAt(tokenDetails, 'project'));
  const { expiresAt } = record;
  const scope = tokenDetails === undefined ? undefined : describeTokenScope(tokenDetails);
  const made = saveResult.credential?.credential;
  const text = renderPairs([
    ['User', describeEntity(user)],
    ['Project', describeEntity(project)],
    ['Scope', scope],
    ['Token ends', `${formatTimestamp(expiresAt)} (in ${formatDuration(expiresAt - now)})`],
    ['Application credential', made === undefined ? undefined : `${made.name} (${made.id})`],
    ['In the keyring', saveResult.about],
    ['Set for the next time', formatFlags(optionValues) || undefined],
    ['Or as variables', formatVariables(optionValues) || undefined],
  ]);
  const data: OutputData = {
    user: user === undefined ? null : { ...user },
    project: project === undefined ? null : { ...project },
    scope: scope ?? null,
    expiresAt: formatTimestamp(expiresAt),
    secondsLeft: Math.max(0, Math.floor((expiresAt - now) / 1000)),
    keyring: saveResult.about ?? null,
    applicationCredential: made === undefined ? null : { id: made.id, name: made.name },
    settings: optionValuesToJson(optionValues),
  };
  return { text, data };
}

async function run({ host, ownConfig, flags, runContext: given, reporter }: Invocation): Promise<CommandResult> {
  const wish = readSaveOptions(ownConfig, host.now());
  const before = await openLoginContext({ ...given, reporter: quietly(reporter) });
  if (wish.save !== 'nothing') await requireKeyring(host);
  const placed = await chooseCloudAndMethod(
    given,
    makeTerminalUser({ host, canPrompt: true, writeLine: reporter.info }),
  );
  const login = await openLoginContext({ ...given, flags: new Map([...flags, ...placed]) });
  if (wish.save === 'secret') requireSavableSecret(login);
  warnAboutSettings(login);
  const isMissing = (known: ResolvedConfig): ReturnType<typeof findMissingOptions> =>
    findMissingOptions(known, login.method);
  const config = await promptForMissing(login, login.config, isMissing, { withoutProject: true });
  const loginResult = await logInToProject(login, config);
  const place = listOptionValues(placed);
  const saveResult = await saveRequestedSecret(wish, login, loginResult, place);
  await storeToken(before, login, loginResult);
  const optionValues = saveResult.credential?.optionValues ?? [
    ...place,
    ...listAddedOptionValues(login.config, loginResult.config),
  ];
  const record = saveResult.credential?.record ?? loginResult.received.record;
  return renderSummary({ loginResult, saveResult, record, optionValues, now: host.now() });
}

/** Logs in with questions where something is open, and leaves what later runs need. */
export const loginCommand: Command = {
  words: ['login'],
  summary: 'log in, choosing cloud, way and project from lists, and keep the token',
  details: [
    'What was chosen is printed as flags and as variables: put one or the other where kubectl runs this program (args or env of the kubeconfig), and nothing is asked until the token ends.',
    'With --save-secret or --create-application-credential nothing is asked after that either: the secret is in the keyring of this system, for this user at this Keystone alone, and get-token takes it where none is set. A secret that Keystone refuses is forgotten.',
  ],
  options: [...SAVE_OPTIONS, OUTPUT_OPTION],
  getTokenOptions: 'login',
  examples: [
    { line: 'login', summary: 'ask for whatever is not set' },
    { line: 'login --os-cloud prod --save-secret', summary: 'log in, and never ask for the password again' },
    {
      line: 'login --os-cloud prod --create-application-credential --role member --expires 90d',
      summary: 'leave a credential of less power in the keyring instead of the password',
    },
  ],
  run,
};
