/** The lists that the user chooses from during a login: cloud, authentication method, project. */
import type { Setting } from '../../../shared/options/layer.ts';
import type { Layer, Option, OptionName } from '../../config/option.ts';
import { describeSources } from '../../../shared/options/option.ts';
import { describeChoices } from '../../config/cloud-entry.ts';
import { readCloudNames, readConfig } from '../../config/read-config.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { InteractionRequired } from '../../../shared/base/errors.ts';
import type { RunContext } from '../../login/login-context.ts';
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import { METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import { promptForMissing } from '../../login/prompt-missing.ts';
import { readAuthUrl } from '../../../shared/keystone/auth-url.ts';
import { captureWarnings } from '../capture-warnings.ts';
import { askForBrowserMethod, findConfiguredBrowserMethod } from './choose-browser-method.ts';
import { listAvailableScopes } from '../available-scopes.ts';
import type { AskKeystone } from '../../login/with-token.ts';
import type { TerminalUser } from '../../terminal/terminal-user.ts';

/** The choice of a Keystone that is not in the list. */
const OTHER = '';

/** Makes the error for a choice that needs the user when there is no prompt. */
function makeMissingChoiceError(
  name: string,
  what: string,
  user: TerminalUser,
  names: readonly string[],
): InteractionRequired {
  const option = OPTIONS.find((candidate) => candidate.name === name);
  const sources = option === undefined ? name : describeSources(option);
  return new InteractionRequired(`${what} is not set and ${user.cannotPromptReason ?? 'none was chosen'}`, {
    hint: `set ${sources} to ${describeChoices(names)}`,
  });
}

/** Prompts for a cloud, or for the URL of a Keystone that is in none. */
async function chooseCloud(
  names: readonly string[],
  run: RunContext,
  config: ResolvedConfig,
  user: TerminalUser,
): Promise<Layer> {
  const choices = names.map((name) => ({ value: name, name }));
  const otherChoice = { value: OTHER, name: 'another one: enter the URL of Keystone' };
  const cloud = await user.promptForChoice({ message: 'Cloud:', choices: [...choices, otherChoice] });
  if (cloud === undefined) throw makeMissingChoiceError('os-cloud', 'cloud', user, names);
  if (cloud === OTHER) return promptForKeystoneUrl(run, config, user);
  return new Map([['os-cloud', { value: cloud, origin: '--os-cloud' }]]);
}

const lacksUser = (config: ResolvedConfig): boolean => !config.has('user-id') && !config.has('user-name');

/** Offers the default method first, and no method that uses a machine identity; undefined for the default method. */
async function promptForMethod(user: TerminalUser): Promise<string | undefined> {
  const defaultFirst = [...METHODS.slice(-1), ...METHODS.slice(0, -1)];
  const offered = defaultFirst.filter(({ usesMachineIdentity }) => usesMachineIdentity !== true);
  const choices = offered.map(({ name, summary }) => ({ value: name, name: `${summary} (${name})` }));
  const name = await user.promptForChoice({ message: 'How to log in:', choices });
  return name === defaultFirst[0]?.name ? undefined : name;
}

/**
 * Prompts for the cloud and the authentication method, unless the settings decide them.
 *
 * @param options.web whether the method must be one with a browser
 * @returns the choices, as flags
 * @throws InteractionRequired when there are several clouds and no prompt
 * @throws UserCanceled
 */
export async function chooseCloudAndMethod(
  run: RunContext,
  user: TerminalUser,
  { web }: { readonly web: boolean },
): Promise<Layer> {
  const { host, flags } = run;
  const choices = new Map<OptionName, Setting>();
  const readWithChoices = async (): Promise<ResolvedConfig> => {
    const { config } = await readConfig(host, new Map([...flags, ...choices]), OPTIONS);
    return config;
  };
  const before = await readWithChoices();
  const { method } = chooseMethod(before);
  const needsKeystone = method.worksWithoutKeystoneUrl?.(before) !== true;
  if (needsKeystone && !before.has('keystone-url') && !before.has('os-cloud')) {
    const names = await readCloudNames(host, flags, OPTIONS);
    // A single cloud is already part of the settings, unless they exclude it.
    for (const [option, setting] of names.length > 1 ? await chooseCloud(names, run, before, user) : [])
      choices.set(option, setting);
  }
  const config = await readWithChoices();
  if (web) {
    const withChoices = { ...run, flags: new Map([...flags, ...choices]) };
    return new Map([...choices, ...(await chooseBrowserMethod(withChoices, config, user))]);
  }
  if (chooseMethod(config).isDefault === true && lacksUser(config)) {
    // Without a prompt, the options that the default method lacks are reported later.
    const name = await promptForMethod(user);
    if (name !== undefined) choices.set('auth-type', { value: name, origin: '--auth-type' });
  }
  return choices;
}

/** @throws InteractionRequired | UserCanceled | KeystoneUnreachable | UsageError */
async function chooseBrowserMethod(run: RunContext, config: ResolvedConfig, user: TerminalUser): Promise<Layer> {
  const toLayer = (name: string): Layer => new Map([['auth-type', { value: name, origin: '--auth-type' }]]);
  const configured = findConfiguredBrowserMethod(config);
  if (configured !== undefined) return toLayer(configured);
  const typed = await promptForKeystoneUrl(run, config, user);
  // Opened with the URL, which decides which authorities are trusted.
  const { reporter } = captureWarnings(run.reporter);
  const login = await openLoginContext({ ...run, reporter, flags: new Map([...run.flags, ...typed]) });
  return new Map([...typed, ...toLayer(await askForBrowserMethod(login))]);
}

const URL_OPTIONS: readonly Option[] = OPTIONS.filter(({ name }) => name === 'keystone-url');

/**
 * Prompts for the URL of Keystone, unless it is set.
 *
 * @returns the answer, as a flag
 * @throws InteractionRequired if no prompt is possible
 * @throws UserCanceled
 */
export async function promptForKeystoneUrl(
  run: RunContext,
  config: ResolvedConfig,
  user: TerminalUser,
): Promise<Layer> {
  if (readAuthUrl(config) !== undefined) return new Map();
  const login = await openLoginContext({ ...run, reporter: captureWarnings(run.reporter).reporter });
  const complete = await promptForMissing({ ...login, user }, config, (current) =>
    readAuthUrl(current) === undefined ? URL_OPTIONS : [],
  );
  const url = complete.setting('keystone-url');
  return url === undefined ? new Map() : new Map([['keystone-url', { ...url, origin: '--keystone-url' }]]);
}

/** A project that the user can log in to. */
export interface Project {
  readonly id: string;
  readonly name: string;
  readonly domainId: string | undefined;
}

/**
 * Lists the projects that are enabled, by name.
 *
 * @throws PluginError
 */
export async function listEnabledProjects(ask: AskKeystone): Promise<readonly Project[]> {
  return (await listAvailableScopes(ask, 'projects'))
    .filter(({ enabled }) => enabled !== false)
    .flatMap(({ id, name, domainId }) => (id === undefined || name === undefined ? [] : [{ id, name, domainId }]))
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en'));
}

/**
 * Prompts for one of several projects.
 *
 * @param suggested the ID of the default choice
 * @returns the only project without a prompt; undefined if there is none
 * @throws InteractionRequired when there is no prompt
 * @throws UserCanceled
 */
export async function chooseProject(
  projects: readonly Project[],
  suggested: string | undefined,
  user: TerminalUser,
): Promise<Project | undefined> {
  const [only, ...more] = projects;
  if (more.length === 0) return only;
  const hasSeveralDomains = new Set(projects.map(({ domainId }) => domainId)).size > 1;
  const choices = projects.map(({ id, name, domainId }) => ({
    value: id,
    name: hasSeveralDomains ? `${name} (domain ${domainId ?? '?'})` : name,
  }));
  const chosenId = await user.promptForChoice({ message: 'Project:', choices, suggestion: suggested });
  if (chosenId !== undefined) return projects.find(({ id }) => id === chosenId);
  const names = projects.map(({ name }) => name);
  throw makeMissingChoiceError('project-name', 'project', user, names);
}
