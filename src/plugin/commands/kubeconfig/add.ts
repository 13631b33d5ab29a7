import { UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { Found, Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makeStanza } from '../../kubeconfig/exec-stanza.ts';
import type { Answer, Call, Command } from '../command.ts';
import { readConfigured } from './configured-login.ts';
import { finishContext } from './save-options.ts';
import { CONTEXT_NAME, PLACING, WRITING } from './options.ts';
import { chooseProgram } from './plugin-command.ts';
import { isOurs, putContext, readAuthority, readServer } from './target.ts';
import type { Target } from './target.ts';

/** As an error lists them. */
const list = (names: readonly string[]): string =>
  names
    .slice(0, 10)
    .map((name) => `"${name}"`)
    .join(', ');

function findCluster(kubeconfig: Kubeconfig, { own }: Call, context: Found | undefined): string {
  const named = own.text('cluster') ?? textAt(context?.value, 'cluster');
  if (named !== undefined) return named;
  const server = own.text('server');
  if (server !== undefined) return own.text('name') ?? readServer(server, '--server').hostname;
  const current = kubeconfig.find('context', kubeconfig.current ?? '');
  const clusters = kubeconfig.names('cluster');
  const found = textAt(current?.value, 'cluster') ?? (clusters.length === 1 ? clusters[0] : undefined);
  if (found !== undefined) return found;
  if (clusters.length > 0) {
    throw new UsageError('which cluster is meant?', { hint: `give one with --cluster: ${list(clusters)}` });
  }
  throw new UsageError('the kubeconfig has no cluster', {
    hint: 'give one with --server and --certificate-authority, or get a kubeconfig with "kubeconfig fetch"',
  });
}

function putCluster(kubeconfig: Kubeconfig, call: Call, name: string): void {
  const old = kubeconfig.find('cluster', name)?.value;
  const server = call.own.text('server');
  const authority = readAuthority(call);
  if (old === undefined && server === undefined) {
    const known = kubeconfig.names('cluster');
    throw new UsageError(`the kubeconfig has no cluster "${name}"`, {
      hint: known.length > 0 ? `it has ${list(known)}; --server adds one` : 'add it with --server',
    });
  }
  if (server === undefined && authority === undefined) return;
  if (server !== undefined) readServer(server, '--server');
  const oldServer = textAt(old, 'server');
  if (
    server !== undefined &&
    oldServer !== undefined &&
    oldServer !== server &&
    call.own.text('cluster') === undefined
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

async function add(call: Call): Promise<Answer> {
  const { openKubeconfig } = await import('../../kubeconfig/kubeconfig.ts');
  const { own, host, reporter } = call;
  const configured = await readConfigured(call, own.isOn('with-secrets'));
  const { command, warning } = chooseProgram(host, own.text('command'));
  const kubeconfig = openKubeconfig(host, own.text('kubeconfig'));
  const named = own.text('name');
  const existing = named === undefined ? undefined : kubeconfig.find('context', named);
  const cluster = findCluster(kubeconfig, call, existing);
  const context = named ?? `${cluster}-keystone`;
  const contextUser = textAt(kubeconfig.find('context', context)?.value, 'user');
  const ofContext = contextUser !== undefined && isOurs(kubeconfig.find('user', contextUser)) ? contextUser : undefined;
  const target: Target = { context, cluster, user: own.text('user') ?? ofContext ?? context };
  putCluster(kubeconfig, call, cluster);
  putContext(kubeconfig, call, target, makeStanza({ ...configured, command }));
  if (warning !== undefined) reporter.warn(warning);
  return finishContext(call, kubeconfig, target, configured);
}

/** Writes a stanza of what is configured now, for a cluster that is there or that is named. */
export const kubeconfigAdd: Command = {
  words: ['kubeconfig', 'add'],
  about: 'add a context that logs in with what is configured now',
  details: [
    'Flags and OS_* variables go into the kubeconfig, secrets only with --with-secrets; of a cloud in clouds.yaml its name does. The file is changed in place, and a copy of it stays beside it.',
    'The cluster is the one that is named, that of the current context, or the only one there is; --server adds one.',
  ],
  options: [
    CONTEXT_NAME,
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
    ...PLACING,
    ...WRITING,
  ],
  takes: 'login',
  examples: [
    { line: 'kubeconfig add --dry-run', about: 'show what would be written' },
    { line: 'kubeconfig add --set-current', about: 'a context for the cluster of the current one, used from now on' },
    { line: 'kubeconfig add --os-cloud prod --name prod', about: 'a context for a cloud of clouds.yaml' },
  ],
  run: add,
};
