/** Chooses the cluster of a new context: one of the kubeconfig, or one that is added to it. */
import { resolvePath } from '../../../shared/base/host.ts';
import { UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { KubeconfigEntry, Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { describeProblem } from '../../terminal/describe-problem.ts';
import { makeCommandUser } from '../command-user.ts';
import type { TerminalUser } from '../../terminal/terminal-user.ts';
import type { Choice } from '../../terminal/prompt.ts';
import { makeCommandOption } from '../command.ts';
import type { Invocation } from '../command.ts';
import { parseServerUrl, readAuthority, readAuthorityOption } from './context.ts';

/** A cluster of the kubeconfig, or one to add. */
export interface ClusterChoice {
  readonly name: string;
  /** The URL to set; undefined leaves it as it is. */
  readonly server?: string | undefined;
  /** The authority to set, as PEM text; undefined leaves it as it is. */
  readonly authority?: string | undefined;
}

export const SERVER_OPTION = makeCommandOption({
  name: 'server',
  isUrl: true,
  prompt: 'URL of the API server',
  help: 'URL of the API server, to add or change a cluster',
});

export const AUTHORITY_OPTION = makeCommandOption({
  name: 'certificate-authority',
  kind: 'file',
  prompt: 'PEM file of the CA of the API server (empty for a public CA)',
  help: 'PEM file of the CA that signed the certificate of the cluster; its content is copied into the kubeconfig',
});

const MAX_LISTED_NAMES = 10;

const formatNames = (names: readonly string[]): string =>
  names
    .slice(0, MAX_LISTED_NAMES)
    .map((name) => `"${name}"`)
    .join(', ');

/** Describes the clusters of a kubeconfig, for a list. */
export function listClusterChoices(kubeconfig: Kubeconfig): Choice[] {
  return kubeconfig.listNames('cluster').map((name) => {
    const server = textAt(kubeconfig.find('cluster', name)?.value, 'server');
    return { value: name, name: server === undefined ? name : `${name} (${server})` };
  });
}

/** Makes the user to ask; undefined if nobody looks at this run. */
function findUser({ host, reporter }: Invocation): TerminalUser | undefined {
  if (!host.stderrIsTerminal()) return undefined;
  const user = makeCommandUser({ host, reporter });
  return user.cannotPromptReason === undefined ? user : undefined;
}

/**
 * Prompts for a cluster that the kubeconfig does not have.
 *
 * @throws UserCanceled
 */
export async function promptForCluster({ host }: Invocation, user: TerminalUser): Promise<ClusterChoice> {
  const server = await user.prompt(SERVER_OPTION, '', {
    check: (text) => describeProblem(() => parseServerUrl(text, 'the URL of the API server')),
  });
  const readFile = (path: string): string | undefined =>
    path === '' ? undefined : readAuthority(resolvePath(path, host), 'the PEM file');
  const path = await user.prompt(AUTHORITY_OPTION, '', { check: (text) => describeProblem(() => readFile(text)) });
  return { name: parseServerUrl(server, 'the URL of the API server').hostname, server, authority: readFile(path) };
}

async function inferCluster(kubeconfig: Kubeconfig, call: Invocation): Promise<ClusterChoice> {
  const current = textAt(kubeconfig.find('context', kubeconfig.currentContext ?? '')?.value, 'cluster');
  const [only, ...others] = kubeconfig.listNames('cluster');
  if (only !== undefined && others.length === 0) return { name: current ?? only };
  const user = findUser(call);
  if (only === undefined) {
    if (user !== undefined) return promptForCluster(call, user);
    throw new UsageError('the kubeconfig has no cluster', {
      hint: 'add one with --server and --certificate-authority, or get a kubeconfig with "kubeconfig fetch"',
    });
  }
  const choices = listClusterChoices(kubeconfig);
  const chosen = await user?.promptForChoice({ message: 'Cluster:', choices, suggestion: current });
  if (chosen !== undefined) return { name: chosen };
  if (current !== undefined) return { name: current };
  throw new UsageError('the kubeconfig has several clusters', {
    hint: `choose one with --cluster: ${formatNames([only, ...others])}`,
  });
}

function checkServer(server: string, name: string, old: string | undefined, call: Invocation): void {
  parseServerUrl(server, '--server');
  if (old === undefined || old === server || call.ownConfig.text('cluster') !== undefined) return;
  throw new UsageError(`the kubeconfig has a cluster "${name}" with another server`, {
    hint: `change that cluster with --cluster=${name}, or add one under another name`,
  });
}

/**
 * Chooses the cluster: the one that the options name, else that of the context with the name of the new one, else the
 * user's choice, else that of the current context.
 *
 * @param existing the context that has the name of the new one
 * @throws UsageError if the options name a cluster that does not exist, or nothing names one and there is no prompt
 * @throws ConfigError if the URL or the PEM file of the options cannot be used
 * @throws UserCanceled
 */
export async function chooseCluster(
  kubeconfig: Kubeconfig,
  call: Invocation,
  existing: KubeconfigEntry | undefined,
): Promise<ClusterChoice> {
  const { ownConfig } = call;
  const [server, authority] = [ownConfig.text('server'), readAuthorityOption(call)];
  const name =
    ownConfig.text('cluster') ??
    textAt(existing?.value, 'cluster') ??
    (server === undefined ? undefined : (ownConfig.text('name') ?? parseServerUrl(server, '--server').hostname));
  if (name === undefined) return { ...(await inferCluster(kubeconfig, call)), ...(authority && { authority }) };
  const old = kubeconfig.find('cluster', name)?.value;
  if (old === undefined && server === undefined) {
    const clusters = kubeconfig.listNames('cluster');
    throw new UsageError(`the kubeconfig has no cluster "${name}"`, {
      hint:
        clusters.length > 0
          ? `choose one of ${formatNames(clusters)}, or add a cluster with --server`
          : 'add it with --server',
    });
  }
  if (server !== undefined) checkServer(server, name, textAt(old, 'server'), call);
  return { name, server, authority };
}

/** Adds the chosen cluster to the kubeconfig, or changes it. */
export function setCluster(kubeconfig: Kubeconfig, { name, server, authority }: ClusterChoice): void {
  if (server === undefined && authority === undefined) return;
  const old = kubeconfig.find('cluster', name)?.value;
  // The new authority replaces both: kubectl rejects a cluster with both an authority and insecure-skip-tls-verify.
  const replaced = authority === undefined ? [] : ['certificate-authority', 'insecure-skip-tls-verify'];
  const otherSettings = Object.fromEntries(Object.entries(old ?? {}).filter(([key]) => !replaced.includes(key)));
  kubeconfig.set('cluster', name, {
    ...otherSettings,
    ...(server === undefined ? {} : { server }),
    ...(authority === undefined ? {} : { 'certificate-authority-data': Buffer.from(authority).toString('base64') }),
  });
}
