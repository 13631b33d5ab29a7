import type { TokenRecord } from '../../cache/token-record.ts';
import type { Layer } from '../../config/option.ts';
import type { NamedAlias } from '../../cache/token-cache.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { objectAt } from '../../../shared/base/json.ts';
import { promptForMissing } from '../../login/prompt-missing.ts';
import { isKeyUnchanged, computeCacheKey } from '../../login/cache-key.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { warnAboutSettings } from '../../login/get-token.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { findMissingOptions } from '../../auth-methods/missing-options.ts';
import { makeCommandUser } from '../command-user.ts';
import { captureWarnings } from '../capture-warnings.ts';
import { makeCommandOption, OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command, OutputData } from '../command.ts';
import { formatTimestamp, formatTokenEnd, secondsUntil } from '../format-time.ts';
import { chooseCloudAndMethod } from './choose.ts';
import { checkContextOptions, CONTEXT_OF_LOGIN_OPTIONS, writeContextOfLogin } from './offer-context.ts';
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

/** Lists the aliases through which a run with the same incomplete settings finds the token. */
function listAliases(before: LoginContext, key: string): NamedAlias[] {
  const lacksNames = findMissingOptions(before.config, before.method).some(({ secret }) => secret !== true);
  return lacksNames && before.cacheKey !== key ? [[before.cacheKey, { key, apiVersion: undefined, files: [] }]] : [];
}

async function storeToken(before: LoginContext, login: LoginContext, { config, received }: LoginResult): Promise<void> {
  const { record, cacheable, owner } = received;
  if (!cacheable) return;
  const key = computeCacheKey(config, login.method, login.tls, login.host);
  if (isKeyUnchanged(login)) await login.cache.store(key, record, listAliases(before, key), owner);
  else login.reporter.warn('the token is not cached: the identity changed during the login');
}

/** What was saved in the keyring. */
interface SaveResult {
  /** The description of the secret. */
  readonly description?: string;
  readonly credential?: SavedCredential;
}

async function saveRequestedSecret(
  saveOptions: SaveOptions,
  login: LoginContext,
  loginResult: LoginResult,
  firstChoices: readonly OptionValue[],
): Promise<SaveResult> {
  if (saveOptions.save === 'credential') {
    const { credentialSpec } = saveOptions;
    const credential = await createAndSaveCredential(login, loginResult, credentialSpec, firstChoices);
    return { description: credential.description, credential };
  }
  return saveOptions.save === 'secret' ? { description: await saveOwnSecret(login, loginResult.config) } : {};
}

/** Everything that the command shows. */
interface LoginSummary {
  readonly loginResult: LoginResult;
  readonly saveResult: SaveResult;
  readonly record: TokenRecord;
  readonly optionValues: readonly OptionValue[];
  /** The change of the kubeconfig, if it now has a context with the values. */
  readonly written: CommandResult | undefined;
  /** ms since 1970, UTC. */
  readonly now: number;
}

function renderSummary({
  loginResult: { tokenDetails },
  saveResult,
  record,
  optionValues,
  written,
  now,
}: LoginSummary): CommandResult {
  const user = readEntity(objectAt(tokenDetails, 'user'));
  const project = readEntity(objectAt(tokenDetails, 'project'));
  const { expiresAt } = record;
  const scope = tokenDetails === undefined ? undefined : describeTokenScope(tokenDetails);
  const credential = saveResult.credential?.credential;
  const lines = renderPairs([
    ['User', describeEntity(user)],
    ['Project', describeEntity(project)],
    ['Scope', scope],
    ['Token expires', formatTokenEnd(expiresAt, now)],
    ['Application credential', credential === undefined ? undefined : `${credential.name} (${credential.id})`],
    ['In the keyring', saveResult.description],
    ['Flags for next time', written === undefined ? formatFlags(optionValues) || undefined : undefined],
    ['Or variables', written === undefined ? formatVariables(optionValues) || undefined : undefined],
  ]);
  const data: OutputData = {
    user: user === undefined ? null : { ...user },
    project: project === undefined ? null : { ...project },
    scope: scope ?? null,
    expiresAt: formatTimestamp(expiresAt),
    secondsLeft: secondsUntil(expiresAt, now),
    keyring: saveResult.description ?? null,
    applicationCredential: credential === undefined ? null : { id: credential.id, name: credential.name },
    settings: optionValuesToJson(optionValues),
    context: written?.data ?? null,
  };
  return { lines: written === undefined ? lines : [...lines, '', ...written.lines], data };
}

/**
 * Logs in, and offers to write a context with the login.
 *
 * @param given what the user has chosen before
 * @throws PluginError
 */
export async function logIn(call: Invocation, given: Layer = new Map()): Promise<CommandResult> {
  const { host, ownConfig, reporter } = call;
  const runContext = { ...call.runContext, flags: new Map([...call.flags, ...given]) };
  const saveOptions = readSaveOptions(ownConfig, host.now());
  checkContextOptions(call);
  // The settings are read again with the choices of the user, which prints the same warnings.
  const before = await openLoginContext({ ...runContext, reporter: captureWarnings(reporter).reporter });
  if (saveOptions.save !== 'nothing') await requireKeyring({ host, reporter });
  const user = makeCommandUser({ host, reporter });
  const choices = new Map([
    ...given,
    ...(await chooseCloudAndMethod(runContext, user, { web: ownConfig.isOn('web') })),
  ]);
  const login = await openLoginContext({ ...runContext, flags: new Map([...call.flags, ...choices]) });
  if (saveOptions.save === 'secret') requireSavableSecret(login);
  warnAboutSettings(login);
  const isMissing = (current: ResolvedConfig): ReturnType<typeof findMissingOptions> =>
    findMissingOptions(current, login.method);
  const config = await promptForMissing(login, login.config, isMissing, { withoutProject: true });
  const loginResult = await logInToProject(login, config);
  const firstChoices = listOptionValues(choices);
  const saveResult = await saveRequestedSecret(saveOptions, login, loginResult, firstChoices);
  await storeToken(before, login, loginResult);
  const optionValues = saveResult.credential?.optionValues ?? [
    ...firstChoices,
    ...listAddedOptionValues(login.config, loginResult.config),
  ];
  const record = saveResult.credential?.record ?? loginResult.received.record;
  const who = describeLogin(loginResult);
  const written = await writeContextOfLogin(call, optionValues, who);
  return renderSummary({ loginResult, saveResult, record, optionValues, written, now: host.now() });
}

/** Says who logged in, and to what. */
function describeLogin({ tokenDetails }: LoginResult): string {
  const user = readEntity(objectAt(tokenDetails, 'user'))?.name ?? 'you';
  const project = readEntity(objectAt(tokenDetails, 'project'))?.name;
  return project === undefined ? user : `${user} on project ${project}`;
}

/** Logs in, prompts for everything that is missing, and caches the token for later runs. */
export const loginCommand: Command = {
  words: ['login'],
  task: 'Log in',
  summary: 'log in, choose cloud, method and project from lists, and cache the token',
  details: [
    'On a terminal, the command ends by offering to add a context with this login to the kubeconfig; ' +
      '--kubeconfig-add adds it without asking. ' +
      'Otherwise it prints your choices as flags and as variables. With either of them in the args or env of the ' +
      'kubeconfig, kubectl does not prompt until the token expires.',
    'With --save-secret or --create-application-credential, kubectl does not prompt after that either: the ' +
      'keyring of this system holds the secret, only for this user at this Keystone, and get-token uses it ' +
      'if no secret is set. A secret that Keystone rejects is forgotten.',
  ],
  options: [
    makeCommandOption({
      name: 'web',
      kind: 'switch',
      help: 'log in with a browser, with the method that the settings or the cloud decide',
    }),
    ...SAVE_OPTIONS,
    ...CONTEXT_OF_LOGIN_OPTIONS,
    OUTPUT_OPTION,
  ],
  contextUse: 'login-and-file',
  getTokenOptions: 'login',
  examples: [
    { line: 'login', summary: 'log in with prompts for everything that is not set' },
    {
      line: 'login --os-cloud prod --kubeconfig-add --set-current',
      summary: 'log in, and add a context with this login for kubectl',
    },
    { line: 'login --os-cloud prod --save-secret', summary: 'log in, and save the password for later logins' },
    {
      line: 'login --os-cloud prod --create-application-credential --role member --expires 90d',
      summary: 'save a credential with fewer permissions instead of the password',
    },
  ],
  run: (call) => logIn(call),
};
