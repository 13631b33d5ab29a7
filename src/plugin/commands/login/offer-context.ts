/** After a login: a context of the kubeconfig with this login, so that kubectl uses it. */
import { UsageError } from '../../../shared/base/errors.ts';
import { makeConfig } from '../../../shared/options/config.ts';
import type { Config } from '../../../shared/options/config.ts';
import type { Setting } from '../../../shared/options/layer.ts';
import { openKubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makeCommandUser } from '../command-user.ts';
import type { CommandOption, CommandOptionName } from '../command-option.ts';
import { makeCommandOption } from '../command.ts';
import type { CommandResult, Invocation } from '../command.ts';
import { addContext, nameAfter, NEW_CONTEXT_OPTIONS } from '../kubeconfig/add.ts';
import { listClusterChoices, promptForCluster } from '../kubeconfig/choose-cluster.ts';
import type { ClusterChoice } from '../kubeconfig/choose-cluster.ts';
import { readAuthorityOption } from '../kubeconfig/context.ts';
import { readStanzaVersion } from '../kubeconfig/stanza-version.ts';
import { makeFlagLayer } from './option-values.ts';
import type { OptionValue } from './option-values.ts';

const ADD = 'kubeconfig-add';

/** The options of `login` that write a context. */
export const CONTEXT_OF_LOGIN_OPTIONS: readonly CommandOption[] = [
  makeCommandOption({
    name: ADD,
    kind: 'switch',
    help: 'add a context with this login to the kubeconfig, as "kubeconfig add" does, with the options of that command',
  }),
  ...NEW_CONTEXT_OPTIONS,
];

/**
 * Checks the options of a context before the login, which would be lost otherwise.
 *
 * @throws UsageError for an option of `--kubeconfig-add` without it, or an API version that no kubectl knows
 * @throws ConfigError if a file cannot be read
 */
export function checkContextOptions(call: Invocation): void {
  const { ownConfig, host } = call;
  if (ownConfig.isOn(ADD)) {
    readAuthorityOption(call);
    readStanzaVersion(call);
    openKubeconfig(host, ownConfig.text('kubeconfig'));
    return;
  }
  const stray = NEW_CONTEXT_OPTIONS.find(({ name }) => ownConfig.has(name));
  if (stray === undefined) return;
  throw new UsageError(`--${stray.name} is only for a new context`, { hint: `add --${ADD}` });
}

/** The values of a list that are not the name of a cluster, which is never empty. */
const NEW_CLUSTER = '+';
const NO_CONTEXT = '';

/** Whether a person looks at the result, which then ends with a question. */
function isWatched({ host, ownConfig }: Invocation): boolean {
  return host.columns() !== undefined && host.stderrIsTerminal() && (ownConfig.text('output') ?? 'text') === 'text';
}

/** Prompts for the cluster that kubectl will use the login for; undefined for none. */
async function askForCluster(call: Invocation, who: string): Promise<ClusterChoice | undefined> {
  const { host, ownConfig, reporter } = call;
  const user = makeCommandUser({ host, reporter });
  if (user.cannotPromptReason !== undefined) return undefined;
  reporter.info(`logged in as ${who}`);
  const kubeconfig = openKubeconfig(host, ownConfig.text('kubeconfig'));
  const clusters = listClusterChoices(kubeconfig).map(({ value, name }) => {
    const context = nameAfter({ name: value });
    const verb = kubeconfig.find('context', context) === undefined ? 'add' : 'replace';
    return { value: `=${value}`, name: `yes: ${verb} context ${context} for cluster ${name}, and make it current` };
  });
  const chosen = await user.promptForChoice({
    message: 'Use this login in kubectl?',
    choices: [
      ...clusters,
      { value: NEW_CLUSTER, name: 'yes, for another cluster: enter the URL of its API server' },
      { value: NO_CONTEXT, name: 'no' },
    ],
  });
  if (chosen === NEW_CLUSTER) return promptForCluster(call, user);
  return chosen === undefined || chosen === NO_CONTEXT ? undefined : { name: chosen.slice(1) };
}

function withSetCurrent(ownConfig: Config<CommandOptionName>): Config<CommandOptionName> {
  const names: readonly CommandOptionName[] = ['kubeconfig', 'context'];
  const settings = names.flatMap((name) => {
    const setting = ownConfig.setting(name);
    return setting === undefined ? [] : [[name, setting] as const];
  });
  const current: readonly [CommandOptionName, Setting] = ['set-current', { value: 'true', origin: '--set-current' }];
  return makeConfig(new Map<CommandOptionName, Setting>([...settings, current]));
}

/**
 * Writes a context with a login to the kubeconfig: with `--kubeconfig-add`, or if a person at the terminal wants it.
 *
 * @param optionValues what the user chose and typed for the login
 * @param who logged in, for a message
 * @returns undefined if no context was written
 * @throws PluginError
 */
export async function writeContextOfLogin(
  call: Invocation,
  optionValues: readonly OptionValue[],
  who: string,
): Promise<CommandResult | undefined> {
  const withLogin = { ...call, flags: new Map([...call.flags, ...makeFlagLayer(optionValues)]) };
  if (call.ownConfig.isOn(ADD)) return addContext(withLogin);
  // kubectl has the login of a context already.
  if (call.usedContext !== undefined || !isWatched(call)) return undefined;
  const cluster = await askForCluster(call, who);
  if (cluster === undefined) return undefined;
  return addContext({ ...withLogin, ownConfig: withSetCurrent(call.ownConfig) }, cluster);
}
