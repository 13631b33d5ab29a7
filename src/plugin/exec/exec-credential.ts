import { ConfigError } from '../../shared/base/errors.ts';
import { EXEC_INFO } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { isJsonObject, objectAt, parseJsonObject, textAt } from '../../shared/base/json.ts';
import { renderJson } from '../../shared/base/terminal-text.ts';
import type { TerminalText } from '../../shared/base/terminal-text.ts';

/** The API group of ExecCredential (Kubernetes documentation, "client authentication (v1)"). */
export const API_GROUP = 'client.authentication.k8s.io';

/** The API versions that client-go supports; they have the same fields. */
export const API_VERSIONS = [`${API_GROUP}/v1`, `${API_GROUP}/v1beta1`] as const;

export type ApiVersion = (typeof API_VERSIONS)[number];

/** The input that kubectl passes in `KUBERNETES_EXEC_INFO`. */
export interface ExecInfo {
  readonly apiVersion: ApiVersion;
  /** Whether kubectl lets the plugin use the terminal (`spec.interactive`); kubectl older than 1.22 does not say. */
  readonly isInteractive: boolean;
  /** `spec.cluster.server`; undefined unless the exec stanza has `provideClusterInfo: true`. */
  readonly clusterServer: string | undefined;
  /** `spec.cluster` as JSON text, or the empty string. */
  readonly clusterJson: string;
}

/**
 * Parses an API version, with its group or without.
 *
 * @throws ConfigError if client-go does not support the version; the message names `origin`
 */
export function parseApiVersion(text: string, origin: string): ApiVersion {
  for (const version of API_VERSIONS) {
    if (version === text || version === `${API_GROUP}/${text}`) return version;
  }
  throw new ConfigError(`${origin} requests ExecCredential version "${text}", which this plugin does not support`, {
    hint: `set apiVersion in the exec stanza of the kubeconfig to ${API_VERSIONS.join(' or ')}`,
  });
}

/** Whether the plugin may use the terminal if kubectl does not say it. Every kubectl that knows `v1` says it. */
const mayUseTerminal = (version: ApiVersion): boolean => version === API_VERSIONS[1];

/** Whether kubectl runs the plugin. */
export const isRunByKubectl = ({ env }: Pick<Host, 'env'>): boolean => (env[EXEC_INFO] ?? '') !== '';

/**
 * Parses `KUBERNETES_EXEC_INFO` (Kubernetes documentation, "client authentication (v1)"); undefined if it is not set.
 *
 * @throws ConfigError if it is not an ExecCredential or has an API version that client-go does not support
 */
export function parseExecInfo(text: string | undefined): ExecInfo | undefined {
  if (text === undefined || text === '') return undefined;
  const info = parseJsonObject(text);
  const apiVersion = textAt(info, 'apiVersion');
  // Some callers write null: the version already says what this is.
  const isExecCredential = textAt(info, 'kind') === 'ExecCredential' || info?.['kind'] === null;
  if (info === undefined || apiVersion === undefined || !isExecCredential) {
    throw new ConfigError(`${EXEC_INFO} does not contain an ExecCredential`, {
      hint: 'kubectl sets this variable; unset it to run the plugin without kubectl',
    });
  }
  const version = parseApiVersion(apiVersion, EXEC_INFO);
  const spec = objectAt(info, 'spec');
  const cluster = objectAt(spec, 'cluster');
  return {
    apiVersion: version,
    isInteractive: isJsonObject(spec) && (spec['interactive'] ?? mayUseTerminal(version)) === true,
    clusterServer: textAt(cluster, 'server'),
    clusterJson: cluster === undefined ? '' : JSON.stringify(cluster),
  };
}

/**
 * Renders the ExecCredential for stdout (Kubernetes documentation, "client authentication (v1)").
 *
 * @param expiresAt ms since 1970, UTC; rounded down to seconds, so that kubectl never uses an expired token
 */
export function renderExecCredential(apiVersion: ApiVersion, token: string, expiresAt: number): TerminalText {
  // Without the fraction of the second.
  const expirationTimestamp = `${new Date(expiresAt).toISOString().slice(0, -'.000Z'.length)}Z`;
  return renderJson({ apiVersion, kind: 'ExecCredential', status: { expirationTimestamp, token } });
}
