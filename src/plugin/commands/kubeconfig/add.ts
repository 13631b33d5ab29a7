import type { CommandOption } from '../command-option.ts';
import { makeCommandOption, OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { addManyContexts, addsManyClusters, FROM_LIST_OPTION, FROM_MAGNUM_OPTION } from './add-many.ts';
import { AUTHORITY_OPTION, chooseCluster, SERVER_OPTION, setCluster } from './choose-cluster.ts';
import type { ClusterChoice } from './choose-cluster.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import { readConfiguredLogin } from './configured-login.ts';
import { saveOrPreviewContext } from './save-or-preview.ts';
import { CONTEXT_NAME_OPTION, CONTEXT_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { nameContext, setContext } from './context.ts';

/** What the user can say about a new context. */
export const NEW_CONTEXT_OPTIONS: readonly CommandOption[] = [
  CONTEXT_NAME_OPTION,
  makeCommandOption({ name: 'cluster', help: 'name of the cluster in the kubeconfig' }),
  SERVER_OPTION,
  AUTHORITY_OPTION,
  ...CONTEXT_OPTIONS,
  ...WRITE_OPTIONS,
];

/**
 * Adds a context that logs in with the configured login.
 *
 * @param chosen the cluster; by default, the options or the user say which
 * @throws PluginError
 */
export async function addContext(call: Invocation, chosen?: ClusterChoice): Promise<CommandResult> {
  const { ownConfig, host, reporter } = call;
  const login = await readConfiguredLogin(call, { withSecrets: ownConfig.isOn('with-secrets') });
  const { command, warning } = choosePluginCommand(host, ownConfig.text('command'));
  const kubeconfig = openCommandKubeconfig(call);
  const name = ownConfig.text('name');
  const existing = name === undefined ? undefined : kubeconfig.find('context', name);
  const cluster = chosen ?? (await chooseCluster(kubeconfig, call, existing));
  const target = nameContext(kubeconfig, call, name ?? nameAfter(cluster), cluster.name);
  setCluster(kubeconfig, cluster);
  setContext(kubeconfig, call, target, { ...login, command });
  if (warning !== undefined) reporter.warn(warning);
  return saveOrPreviewContext(call, kubeconfig, target, login);
}

/** The name of a context for which the user names none. */
export const nameAfter = ({ name }: ClusterChoice): string => `${name}-keystone`;

/** Adds a context for a cluster, with an exec stanza of the configured login. */
export const kubeconfigAddCommand: Command = {
  words: ['kubeconfig', 'add'],
  task: 'Set up',
  summary: 'add a context that logs in with the current configuration',
  details: [
    'Flags and OS_* variables are written to the kubeconfig, secrets only with --with-secrets. ' +
      'For a cloud of clouds.yaml, its name is written. ' +
      'The file is changed in place, and a backup copy is written next to it.',
    'The cluster is the one of --cluster, else the one that you choose on a terminal if the kubeconfig has several, ' +
      'else that of the current context, else the only one in the kubeconfig; --server adds a cluster.',
    'With --from-magnum or --from-list, each cluster gets a context, NAME-keystone. A cluster that cannot be added is ' +
      'reported, and the others are added.',
  ],
  options: [...NEW_CONTEXT_OPTIONS, FROM_MAGNUM_OPTION, FROM_LIST_OPTION, OUTPUT_OPTION],
  contextUse: 'login-and-file',
  getTokenOptions: 'login',
  examples: [
    { line: 'kubeconfig add --dry-run', summary: 'show what would be written' },
    {
      line: 'kubeconfig add --set-current',
      summary: 'add a context for the cluster of the current context, and switch to it',
    },
    { line: 'kubeconfig add --os-cloud prod --name prod', summary: 'add a context for a cloud of clouds.yaml' },
    { line: 'kubeconfig add --from-list clusters.yaml', summary: 'add a context for each cluster of a file' },
  ],
  run: (call) => (addsManyClusters(call) ? addManyContexts(call) : addContext(call)),
};
