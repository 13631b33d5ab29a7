import { UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import { makeExecStanza } from '../../kubeconfig/exec-stanza.ts';
import type { KubeconfigEntry, Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makeCommandOption } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import { readConfiguredLogin } from './configured-login.ts';
import { saveOrPreviewContext } from './save-or-preview.ts';
import { CONTEXT_NAME_OPTION, CONTEXT_OPTIONS, WRITE_OPTIONS } from './options.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { nameContext, setContext, readAuthorityOption, parseServerUrl } from './context.ts';

const MAX_LISTED_NAMES = 10;

const formatNames = (names: readonly string[]): string =>
  names
    .slice(0, MAX_LISTED_NAMES)
    .map((name) => `"${name}"`)
    .join(', ');

function chooseCluster(
  kubeconfig: Kubeconfig,
  { ownConfig }: Invocation,
  context: KubeconfigEntry | undefined,
): string {
  const name = ownConfig.text('cluster') ?? textAt(context?.value, 'cluster');
  if (name !== undefined) return name;
  const server = ownConfig.text('server');
  if (server !== undefined) return ownConfig.text('name') ?? parseServerUrl(server, '--server').hostname;
  const current = kubeconfig.find('context', kubeconfig.currentContext ?? '');
  const clusters = kubeconfig.listNames('cluster');
  const inferred = textAt(current?.value, 'cluster') ?? (clusters.length === 1 ? clusters[0] : undefined);
  if (inferred !== undefined) return inferred;
  if (clusters.length > 0) {
    throw new UsageError('the kubeconfig has several clusters', {
      hint: `choose one with --cluster: ${formatNames(clusters)}`,
    });
  }
  throw new UsageError('the kubeconfig has no cluster', {
    hint: 'add one with --server and --certificate-authority, or get a kubeconfig with "kubeconfig fetch"',
  });
}

function checkServer(server: string, name: string, old: string | undefined, call: Invocation): void {
  parseServerUrl(server, '--server');
  if (old === undefined || old === server || call.ownConfig.text('cluster') !== undefined) return;
  throw new UsageError(`the kubeconfig has a cluster "${name}" with another server`, {
    hint: `change that cluster with --cluster=${name}, or add one under another name`,
  });
}

function setCluster(kubeconfig: Kubeconfig, call: Invocation, name: string): void {
  const old = kubeconfig.find('cluster', name)?.value;
  const server = call.ownConfig.text('server');
  const authority = readAuthorityOption(call);
  if (old === undefined && server === undefined) {
    const clusters = kubeconfig.listNames('cluster');
    throw new UsageError(`the kubeconfig has no cluster "${name}"`, {
      hint:
        clusters.length > 0
          ? `choose one of ${formatNames(clusters)}, or add a cluster with --server`
          : 'add it with --server',
    });
  }
  if (server === undefined && authority === undefined) return;
  if (server !== undefined) checkServer(server, name, textAt(old, 'server'), call);
  // The new authority replaces both: kubectl rejects a cluster with both an authority and insecure-skip-tls-verify.
  const replaced = authority === undefined ? [] : ['certificate-authority', 'insecure-skip-tls-verify'];
  const otherSettings = Object.fromEntries(Object.entries(old ?? {}).filter(([key]) => !replaced.includes(key)));
  kubeconfig.set('cluster', name, {
    ...otherSettings,
    ...(server === undefined ? {} : { server }),
    ...(authority === undefined ? {} : { 'certificate-authority-data': Buffer.from(authority).toString('base64') }),
  });
}

async function add(call: Invocation): Promise<CommandResult> {
  const { ownConfig, host, reporter } = call;
  const login = await readConfiguredLogin(call, ownConfig.isOn('with-secrets'));
  const { command, warning } = choosePluginCommand(host, ownConfig.text('command'));
  const kubeconfig = openCommandKubeconfig(call);
  const name = ownConfig.text('name');
  const existing = name === undefined ? undefined : kubeconfig.find('context', name);
  const cluster = chooseCluster(kubeconfig, call, existing);
  const target = nameContext(kubeconfig, call, name ?? `${cluster}-keystone`, cluster);
  setCluster(kubeconfig, call, cluster);
  setContext(kubeconfig, call, target, makeExecStanza({ ...login, command }));
  if (warning !== undefined) reporter.warn(warning);
  return saveOrPreviewContext(call, kubeconfig, target, login);
}

/** Adds a context for a cluster, with an exec stanza of the configured login. */
export const kubeconfigAddCommand: Command = {
  words: ['kubeconfig', 'add'],
  task: 'Set up',
  summary: 'add a context that logs in with the current configuration',
  details: [
    'Flags and OS_* variables are written to the kubeconfig, secrets only with --with-secrets. ' +
      'For a cloud of clouds.yaml, its name is written. ' +
      'The file is changed in place, and a backup copy is written next to it.',
    'The cluster is the one of --cluster, else that of the current context, ' +
      'else the only one in the kubeconfig; --server adds a cluster.',
  ],
  options: [
    CONTEXT_NAME_OPTION,
    makeCommandOption({ name: 'cluster', help: 'name of the cluster in the kubeconfig' }),
    makeCommandOption({ name: 'server', help: 'URL of the API server, to add or change a cluster' }),
    makeCommandOption({
      name: 'certificate-authority',
      kind: 'file',
      help: 'PEM file of the CA that signed the certificate of the cluster; its content is copied into the kubeconfig',
    }),
    ...CONTEXT_OPTIONS,
    ...WRITE_OPTIONS,
  ],
  contextUse: 'login-and-file',
  getTokenOptions: 'login',
  examples: [
    { line: 'kubeconfig add --dry-run', summary: 'show what would be written' },
    {
      line: 'kubeconfig add --set-current',
      summary: 'add a context for the cluster of the current context, and switch to it',
    },
    { line: 'kubeconfig add --os-cloud prod --name prod', summary: 'add a context for a cloud of clouds.yaml' },
  ],
  run: add,
};
