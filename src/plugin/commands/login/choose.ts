/** What a login lets the user choose from lists: the cloud, the way to log in, the project. */
import type { Setting } from '../../../shared/options/layer.ts';
import type { Layer, OptionName } from '../../config/option.ts';
import { describeSources } from '../../../shared/options/option.ts';
import { describeChoices } from '../../config/list-names.ts';
import { readCloudNames, readConfig } from '../../config/read-config.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { InteractionRequired } from '../../../shared/base/errors.ts';
import { isJsonObject, listAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { RunContext } from '../../login/login-context.ts';
import { chooseMethodWithReason } from '../../auth-methods/choose-method.ts';
import { METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import { makePrintable } from '../../../shared/base/text.ts';
import type { TerminalUser } from '../../terminal/terminal-user.ts';

/** What stands in no list, and is then asked for. */
const OTHER = '';

/** Says what is missing where nobody can choose. */
function requireChoice(
  name: string,
  what: string,
  person: TerminalUser,
  names: readonly string[],
): InteractionRequired {
  const option = OPTIONS.find((one) => one.name === name);
  const sources = option === undefined ? name : describeSources(option);
  return new InteractionRequired(`${what} is not set and ${person.cannotPromptReason ?? 'nobody has chosen one'}`, {
    hint: `set ${sources} to ${describeChoices(names)}`,
  });
}

async function chooseCloud(names: readonly string[], person: TerminalUser): Promise<string> {
  const choices = names.map((name) => ({ value: name, name: makePrintable(name) }));
  const other = { value: OTHER, name: 'none of these: I type the URL of Keystone' };
  const chosen = await person.promptForChoice({ message: 'Cloud:', choices: [...choices, other] });
  if (chosen === undefined) throw requireChoice('os-cloud', 'cloud', person, names);
  return chosen;
}

const isNameless = (config: ResolvedConfig): boolean => !config.has('user-id') && !config.has('user-name');

/** The usual one first; those with a credential of the machine's own are for machines. */
async function chooseMethod(person: TerminalUser): Promise<string | undefined> {
  const [usual] = METHODS.slice(-1);
  const offered = [...METHODS.slice(-1), ...METHODS.slice(0, -1)].filter(
    ({ usesMachineIdentity }) => usesMachineIdentity !== true,
  );
  const choices = offered.map(({ name, summary }) => ({ value: name, name: `${summary} (${name})` }));
  const chosen = await person.promptForChoice({ message: 'How to log in:', choices });
  return chosen === usual?.name ? undefined : chosen;
}

/**
 * Has the cloud and the way to log in chosen, as far as nothing tells them.
 *
 * @returns what was chosen, as flags
 * @throws InteractionRequired where there are several clouds and nobody to choose
 * @throws Cancelled
 */
export async function chooseCloudAndMethod({ host, flags }: RunContext, person: TerminalUser): Promise<Layer> {
  const chosen = new Map<OptionName, Setting>();
  const read = async (): Promise<ResolvedConfig> => {
    const { config } = await readConfig(host, new Map([...flags, ...chosen]), OPTIONS);
    return config;
  };
  const given = await read();
  const { method } = chooseMethodWithReason(given);
  const needsKeystone = method.worksWithoutKeystoneUrl?.(given) !== true;
  if (needsKeystone && !given.has('keystone-url') && !given.has('os-cloud')) {
    const names = await readCloudNames(host, flags, OPTIONS);
    // The only one there is has been read already, or something else is set that speaks against it.
    const cloud = names.length > 1 ? await chooseCloud(names, person) : OTHER;
    if (cloud !== OTHER) chosen.set('os-cloud', { value: cloud, origin: '--os-cloud' });
  }
  const placed = await read();
  if (chooseMethodWithReason(placed).isDefault === true && isNameless(placed)) {
    // Where nobody can choose, what is missing for the usual way says enough.
    const name = await chooseMethod(person);
    if (name !== undefined) chosen.set('auth-type', { value: name, origin: '--auth-type' });
  }
  return chosen;
}

/** A project that a token can be exchanged for. */
export interface Project {
  readonly id: string;
  readonly name: string;
  readonly domainId: string | undefined;
}

/** Reads the answer to "Get available project scopes" (Keystone API v3); projects that are switched off are none. */
export function readProjects(body: JsonObject | undefined): readonly Project[] {
  return listAt(body, 'projects')
    .filter(isJsonObject)
    .filter((project) => project['enabled'] !== false)
    .flatMap((project) => {
      const [id, name] = [textAt(project, 'id'), textAt(project, 'name')];
      return id === undefined || name === undefined ? [] : [{ id, name, domainId: textAt(project, 'domain_id') }];
    })
    .toSorted((one, other) => one.name.localeCompare(other.name, 'en'));
}

/**
 * Has one of several projects chosen.
 *
 * @param suggested the id of the one that Enter alone chooses
 * @throws InteractionRequired where nobody can choose
 * @throws Cancelled
 */
export async function chooseProject(
  projects: readonly Project[],
  suggested: string | undefined,
  person: TerminalUser,
): Promise<Project | undefined> {
  const [only, ...more] = projects;
  if (more.length === 0) return only;
  const several = new Set(projects.map(({ domainId }) => domainId)).size > 1;
  const choices = projects.map(({ id, name, domainId }) => ({
    value: id,
    name: makePrintable(several ? `${name} (domain ${domainId ?? '?'})` : name),
  }));
  const chosen = await person.promptForChoice({ message: 'Project:', choices, suggestion: suggested });
  if (chosen !== undefined) return projects.find(({ id }) => id === chosen);
  const names = projects.map(({ name }) => name);
  throw requireChoice('project-name', 'project', person, names);
}
