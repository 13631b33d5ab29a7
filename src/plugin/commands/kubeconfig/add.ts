import { UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { KubeconfigEntry, Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makeExecStanza } from '../../kubeconfig/exec-stanza.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { readConfiguredLogin } from './configured-login.ts';
import { saveOrPreviewContext } from './save-or-preview.ts';
import { CONTEXT_NAME_OPTION, CONTEXT_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { isPluginUser, setContext, readAuthorityOption, parseServerUrl } from './context.ts';
import type { ContextNames } from './context.ts';

/** As an error lists them. */
const list = (names: readonly string[]): string =>
  names
    .slice(0, 10)
    .map((name) => `"${name}"`)
    .join(', ');

function findCluster(kubeconfig: Kubeconfig, { ownConfig }: Invocation, context: KubeconfigEntry | undefined): string {
  const named = ownConfig.text('cluster') ?? textAt(context?.value, 'cluster');
  if (named !== undefined) return named;
  const server = ownConfig.text('server');
  if (server !== undefined) return ownConfig.text('name') ?? parseServerUrl(server, '--server').hostname;
  const current = kubeconfig.find('context', kubeconfig.currentContext ?? '');
  const clusters = kubeconfig.listNames('cluster');
  const found = textAt(current?.value, 'cluster') ?? (clusters.length === 1 ? clusters[0] : undefined);
  if (found !== undefined) return found;
  if (clusters.length > 0) {
    throw new UsageError('which cluster is meant?', { hint: `give one with --cluster: ${list(clusters)}` });
  }
  throw new UsageError('the kubeconfig has no cluster', {
    hint: 'give one with --server and --certificate-authority, or get a kubeconfig with "kubeconfig fetch"',
  });
}

function putCluster(kubeconfig: Kubeconfig, call: Invocation, name: string): void {
  const old = kubeconfig.find('cluster', name)?.value;
  const server = call.ownConfig.text('server');
  const authority = readAuthorityOption(call);
  if (old === undefined && server === undefined) {
    const known = kubeconfig.listNames('cluster');
    throw new UsageError(`the kubeconfig has no cluster "${name}"`, {
      hint: known.length > 0 ? `it has ${list(known)}; --server adds one` : 'add it with --server',
    });
  }
  if (server === undefined && authority === undefined) return;
  if (server !== undefined) parseServerUrl(server, '--server');
  const oldServer = textAt(old, 'server');
  if (
    server !== undefined &&
    oldServer !== undefined &&
    oldServer !== server &&
    call.ownConfig.text('cluster') === undefined
  ) {
    throw new UsageError(`the kubeconfig has a cluster "${name}" with another server`, {
      hint: `give --cluster=${name} to change that one, or another name to add one`,
    });
  }
  // kubectl takes either an authority or none.
  const dropped = authority === undefined ? [] : ['certificate-authority', 'insecure-skip-tls-verify'];
  const kept = Object.fromEntries(Object.entries(old ?? {}).filter(([key]) => !dropped.includes(key)));
  kubeconfig.set('cluster', name, {
    ...kept,
    ...(server === undefined ? {} : { server }),
    ...(authority === undefined ? {} : { 'certificate-authority-data': Buffer.from(authority).toString('base64') }),
  });
}

async function add(call: Invocation): Promise<CommandResult> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const { ownConfig, host, reporter } = call;
  const configured = await readConfiguredLogin(call, ownConfig.isOn('with-secrets'));
  const { command, warning } = choosePluginCommand(host, ownConfig.text('command'));
  const kubeconfig = openKubeconfig(host, ownConfig.text('kubeconfig'));
  const named = ownConfig.text('name');
  const existing = named === undefined ? undefined : kubeconfig.find('context', named);
  const cluster = findCluster(kubeconfig, call, existing);
  const context = named ?? `${cluster}-keystone`;
  const contextUser = textAt(kubeconfig.find('context', context)?.value, 'user');
  const ofContext =
    contextUser !== undefined && isPluginUser(kubeconfig.find('user', contextUser)) ? contextUser : undefined;
  const target: ContextNames = { context, cluster, user: ownConfig.text('user') ?? ofContext ?? context };
  putCluster(kubeconfig, call, cluster);
  setContext(kubeconfig, call, target, makeExecStanza({ ...configured, command }));
  if (warning !== undefined) reporter.warn(warning);
  return saveOrPreviewContext(call, kubeconfig, target, configured);
}

/** Writes a stanza of what is configured now, for a cluster that is there or that is named. */
export const kubeconfigAddCommand: Command = {
  words: ['kubeconfig', 'add'],
  summary: 'add a context that logs in with what is configured now',
  details: [
    'Flags and OS_* variables go into the kubeconfig, secrets only with --with-secrets; of a cloud in clouds.yaml its name does. The file is changed in place, and a copy of it stays beside it.',
    'The cluster is the one that is named, that of the current context, or the only one there is; --server adds one.',
  ],
  options: [
    CONTEXT_NAME_OPTION,
    {
      name: 'cluster',
      group: 'Command',
      file: 'nowhere',
      help: 'name of the cluster in the kubeconfig',
    },
    { name: 'server', group: 'Command', file: 'nowhere', help: 'URL of an API server, to add a cluster or change it' },
    {
      name: 'certificate-authority',
      group: 'Command',
      kind: 'file',
      file: 'nowhere',
      help: "PEM file of the authority of the cluster's certificate; it is copied into the kubeconfig",
    },
    ...CONTEXT_OPTIONS,
    ...WRITE_OPTIONS,
  ],
  getTokenOptions: 'login',
  examples: [
    { line: 'kubeconfig add --dry-run', summary: 'show what would be written' },
    { line: 'kubeconfig add --set-current', summary: 'a context for the cluster of the current one, used from now on' },
    { line: 'kubeconfig add --os-cloud prod --name prod', summary: 'a context for a cloud of clouds.yaml' },
  ],
  run: add,
};
