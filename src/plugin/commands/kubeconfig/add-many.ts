/** Adds a context for each of several clusters, all with the same login, and each with its own token exchange. */
import { getExitStatus } from '../../cli/exit-status.ts';
import { PluginError, UsageError } from '../../../shared/base/errors.ts';
import { resolvePath } from '../../../shared/base/host.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { makeCommandOption } from '../command.ts';
import type { CommandOptionName } from '../command-option.ts';
import type { CommandResult, Invocation } from '../command.ts';
import { openSession } from '../session.ts';
import { setCluster } from './choose-cluster.ts';
import { readClusterList } from './cluster-list.ts';
import { readConfiguredLogin } from './configured-login.ts';
import { nameContext, rejectOtherCluster, rejectOtherServer, setContext } from './context.ts';
import type { ContextLogin, ContextNames } from './context.ts';
import type { ClusterList, LeftOutCluster, ListedCluster } from './listed-cluster.ts';
import { listMagnumClusters } from './magnum.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import { choosePluginCommand } from './plugin-command.ts';
import { describeLeftOut, saveOrPreview } from './save-or-preview.ts';
import type { StanzaLogin } from './stanza-login.ts';
import { readStanzaVersion } from './stanza-version.ts';

export const FROM_MAGNUM_OPTION = makeCommandOption({
  name: 'from-magnum',
  kind: 'switch',
  help: 'add every Magnum cluster of the project, with its CA',
});

export const FROM_LIST_OPTION = makeCommandOption({
  name: 'from-list',
  kind: 'file',
  help: 'add every cluster of a YAML file: clusters, each with name, server, certificate-authority, token-exchange-audience',
});

/** Options that say something about one cluster. */
const SINGLE_CLUSTER_OPTIONS: readonly CommandOptionName[] = [
  'name',
  'cluster',
  'server',
  'certificate-authority',
  'user',
  'set-current',
];

/** Whether several clusters are added. */
export function addsManyClusters({ ownConfig }: Invocation): boolean {
  return ownConfig.isOn('from-magnum') || ownConfig.has('from-list');
}

function checkOptions(call: Invocation): void {
  const { ownConfig } = call;
  readStanzaVersion(call);
  if (ownConfig.isOn('from-magnum') && ownConfig.has('from-list')) {
    throw new UsageError('--from-magnum and --from-list exclude each other', {
      hint: 'run the command for each of them',
    });
  }
  const single = SINGLE_CLUSTER_OPTIONS.find((name) => ownConfig.has(name));
  if (single === undefined) return;
  const source = ownConfig.has('from-list') ? '--from-list' : '--from-magnum';
  throw new UsageError(`--${single} is for one cluster, but ${source} adds several`, { hint: `leave out --${single}` });
}

/** A cluster must not get a JWT for another one. */
function rejectAudience({ flags }: StanzaLogin): void {
  if (!flags.some((flag) => flag.startsWith('--token-exchange-audience='))) return;
  throw new UsageError('a token exchange is for one cluster, but several are added', {
    hint:
      'give each cluster of a list its token-exchange-audience, or run "kubeconfig add" for each cluster, with its own ' +
      '--token-exchange-audience',
  });
}

/** Makes the function that finds the login of each cluster, which the clusters without an exchange share. */
async function makeLogins(
  call: Invocation,
  clusters: readonly ListedCluster[],
): Promise<(cluster: ListedCluster) => Promise<StanzaLogin>> {
  const withSecrets = call.ownConfig.isOn('with-secrets');
  const readShared = async (): Promise<StanzaLogin> => {
    const login = await readConfiguredLogin(call, { withSecrets });
    rejectAudience(login);
    return login;
  };
  // If nothing but the shared one is needed, what is wrong with it is said once, and not for each cluster.
  const shared = clusters.some(({ exchange }) => exchange !== undefined) ? undefined : await readShared();
  return ({ exchange }) => {
    if (exchange === undefined) return shared === undefined ? readShared() : Promise.resolve(shared);
    return readConfiguredLogin({ ...call, flags: new Map([...call.flags, ...exchange]) }, { withSecrets });
  };
}

async function listMagnum(call: Invocation): Promise<ClusterList> {
  const session = await openSession(call);
  return listMagnumClusters(session, session.login.config.text('region-name'));
}

/** @throws ConfigError if the kubeconfig has something else under one of the names */
function addOne(call: Invocation, kubeconfig: Kubeconfig, cluster: ListedCluster, login: ContextLogin): ContextNames {
  const { name, server } = cluster;
  const hint = `rename or remove that cluster; if its address has changed, run "kubeconfig add --cluster=${name} --server=…"`;
  rejectOtherServer(kubeconfig, name, server, hint);
  const context = `${name}-keystone`;
  rejectOtherCluster(kubeconfig, context, name, 'rename or remove that context');
  const target = nameContext(kubeconfig, call, context, name);
  // First, because it refuses users that log in in another way.
  setContext(kubeconfig, call, target, login);
  setCluster(kubeconfig, cluster);
  return target;
}

const describeError = ({ name, error }: LeftOutCluster): string =>
  `${name} was left out: ${error.message}${error.hint === undefined ? '' : `; ${error.hint}`}`;

/**
 * Adds the clusters of Magnum or of a list. One that cannot be added is reported, and the others are added.
 *
 * @throws PluginError if the options contradict each other, or there is no list
 */
export async function addManyContexts(call: Invocation): Promise<CommandResult> {
  const { host, ownConfig, reporter } = call;
  checkOptions(call);
  const list = ownConfig.text('from-list');
  const fromList = list === undefined ? undefined : readClusterList(resolvePath(list, host));
  const findLogin = await makeLogins(call, fromList?.clusters ?? []);
  const { command, warning } = choosePluginCommand(host, ownConfig.text('command'));
  // Before any request: if the kubeconfig is invalid, the token is not sent.
  const kubeconfig = openCommandKubeconfig(call);
  const listed = fromList ?? (await listMagnum(call));
  const added: ContextNames[] = [];
  const leftOut = [...listed.leftOut];
  let leftOutSecrets: readonly string[] = [];
  for (const cluster of listed.clusters) {
    try {
      const login = await findLogin(cluster);
      added.push(addOne(call, kubeconfig, cluster, { ...login, command }));
      // The same for all of them.
      leftOutSecrets = login.leftOut;
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      leftOut.push({ name: cluster.name, error });
    }
  }
  if (warning !== undefined) reporter.warn(warning);
  for (const cluster of leftOut) reporter.warn(describeError(cluster));
  const messages = [
    ...added.map(({ context, cluster }) => `Context ${context} uses cluster ${cluster}.`),
    ...(added.length + leftOut.length === 0 ? ['The project has no clusters.'] : []),
    ...describeLeftOut(leftOutSecrets),
  ];
  const result = await saveOrPreview(call, kubeconfig, {
    messages,
    data: {
      contexts: added.map((names) => ({ ...names })),
      leftOutClusters: leftOut.map(({ name, error }) => ({ name, code: error.code, reason: error.message })),
      current: kubeconfig.currentContext ?? null,
      leftOut: leftOutSecrets,
    },
    hasSecrets: ownConfig.isOn('with-secrets'),
  });
  const [first] = leftOut;
  return first === undefined ? result : { ...result, exitStatus: getExitStatus(first.error.code) };
}
