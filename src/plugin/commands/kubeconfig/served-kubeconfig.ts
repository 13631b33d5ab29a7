/** Reads the kubeconfig that a service sends: nothing in it may decide what runs here, or which files are read. */
import { ConfigError, KeystoneProtocolError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import { openKubeconfigText } from '../../kubeconfig/kubeconfig.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { hasCertificate, parseServerUrl } from './context.ts';
import { isUsableName } from './listed-cluster.ts';

/** Enough for 500 clusters. A file may have more; but this text must be read within the deadline of the request. */
const MAX_PARTS = 20_000;

/** What is used of a kubeconfig that a service sends. */
export interface ServedContext {
  readonly context: string;
  readonly cluster: string;
  readonly namespace: string | undefined;
  readonly clusterSettings: JsonObject;
  /** Names of the cluster settings that were left out. */
  readonly leftOut: readonly string[];
}

const makeError = (origin: string, problem: string): KeystoneProtocolError =>
  new KeystoneProtocolError('protocol', `the kubeconfig of ${origin} ${problem}`, { hint: 'ask its operator' });

function checkName(name: string | undefined, kind: string, origin: string): string {
  if (isUsableName(name)) return name;
  throw makeError(origin, `has no valid name for the ${kind}`);
}

function readCluster(cluster: JsonObject, origin: string): Pick<ServedContext, 'clusterSettings' | 'leftOut'> {
  const server = textAt(cluster, 'server') ?? '';
  parseServerUrl(server, `the server in the kubeconfig of ${origin}`);
  const authority = textAt(cluster, 'certificate-authority-data');
  if (authority !== undefined && !hasCertificate(Buffer.from(authority, 'base64').toString('latin1'))) {
    throw makeError(origin, 'has a certificate authority that is not a PEM certificate');
  }
  if (cluster['insecure-skip-tls-verify'] === true) {
    throw makeError(origin, 'turns off the verification of the certificate of the cluster');
  }
  const name = textAt(cluster, 'tls-server-name');
  const usedKeys = ['server', 'certificate-authority-data', 'tls-server-name', 'insecure-skip-tls-verify'];
  return {
    clusterSettings: {
      ...(authority === undefined ? {} : { 'certificate-authority-data': authority }),
      server,
      ...(name === undefined ? {} : { 'tls-server-name': name }),
    },
    leftOut: Object.keys(cluster).filter((key) => !usedKeys.includes(key)),
  };
}

function openText(text: string, origin: string): Kubeconfig {
  try {
    return openKubeconfigText(text, `the response of ${origin}`, MAX_PARTS);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new KeystoneProtocolError('protocol', error.message, { hint: 'check the URL' });
  }
}

/**
 * Reads the current context of a kubeconfig that a service sends, or its only context.
 *
 * @param origin of the service, for messages
 * @throws KeystoneProtocolError if it is not a kubeconfig, or has no usable context
 * @throws ConfigError if the server is not an https:// URL
 */
export function readServedContext(text: string, origin: string): ServedContext {
  const kubeconfig = openText(text, origin);
  const [only, ...others] = kubeconfig.listNames('context');
  const context = kubeconfig.currentContext ?? (others.length === 0 ? only : undefined);
  const value = kubeconfig.find('context', context ?? '')?.value;
  const cluster = textAt(value, 'cluster');
  const clusterEntry = kubeconfig.find('cluster', cluster ?? '');
  if (value === undefined || clusterEntry === undefined) {
    throw makeError(origin, 'has no current context with a cluster');
  }
  const namespace = textAt(value, 'namespace');
  return {
    context: checkName(context, 'context', origin),
    cluster: checkName(cluster, 'cluster', origin),
    namespace: namespace === undefined ? undefined : checkName(namespace, 'namespace', origin),
    ...readCluster(clusterEntry.value, origin),
  };
}
