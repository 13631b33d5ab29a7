import { ConfigError } from '../../shared/base/errors.ts';
import { isJsonObject, objectAt, parseJsonObject, textAt } from '../../shared/base/json.ts';

/** The group of the ExecCredential versions (kubernetes doc "client authentication"). */
export const API_GROUP = 'client.authentication.k8s.io';

/** The versions that client-go still speaks; they have the same fields. */
export const API_VERSIONS = [`${API_GROUP}/v1`, `${API_GROUP}/v1beta1`] as const;

export type ApiVersion = (typeof API_VERSIONS)[number];

/** What kubectl says of a run, in `KUBERNETES_EXEC_INFO`. */
export interface ExecInfo {
  readonly apiVersion: ApiVersion;
  /** Whether kubectl left the terminal to us (`spec.interactive`). */
  readonly isInteractive: boolean;
  /** `spec.cluster.server`, known only with `provideClusterInfo: true`. */
  readonly clusterServer: string | undefined;
  /** `spec.cluster` as JSON text, or the empty string. */
  readonly clusterJson: string;
}

/**
 * Accepts a version in full or without its group.
 *
 * @throws ConfigError when it is none that client-go speaks; the message names `origin`
 */
export function parseApiVersion(text: string, origin: string): ApiVersion {
  const found = API_VERSIONS.find((version) => version === text || version === `${API_GROUP}/${text}`);
  if (found !== undefined) return found;
  throw new ConfigError(`${origin} asks for ExecCredential version "${text}", which this plugin does not speak`, {
    hint: `set apiVersion in the kubeconfig's exec section to ${API_VERSIONS.join(' or ')}`,
  });
}

/**
 * Reads `KUBERNETES_EXEC_INFO` (kubernetes doc "client authentication", input); undefined when it is not set.
 *
 * @throws ConfigError when it is not an ExecCredential or asks for a version that client-go no longer speaks
 */
export function parseExecInfo(text: string | undefined): ExecInfo | undefined {
  if (text === undefined || text === '') return undefined;
  const info = parseJsonObject(text);
  const apiVersion = textAt(info, 'apiVersion');
  if (info === undefined || apiVersion === undefined || textAt(info, 'kind') !== 'ExecCredential') {
    throw new ConfigError('KUBERNETES_EXEC_INFO does not hold an ExecCredential', {
      hint: 'kubectl sets it; unset it when you run the plugin by hand',
    });
  }
  const spec = objectAt(info, 'spec');
  const cluster = objectAt(spec, 'cluster');
  return {
    apiVersion: parseApiVersion(apiVersion, 'KUBERNETES_EXEC_INFO'),
    isInteractive: isJsonObject(spec) && spec['interactive'] === true,
    clusterServer: textAt(cluster, 'server'),
    clusterJson: cluster === undefined ? '' : JSON.stringify(cluster),
  };
}

/**
 * Serialises the one document that stdout may carry (kubernetes doc "client authentication", output).
 *
 * @param expiresAt ms since 1970, UTC; floored to whole seconds, so that kubectl never outlives the token
 */
export function renderExecCredential(apiVersion: ApiVersion, token: string, expiresAt: number): string {
  const wholeSeconds = Math.floor(expiresAt / 1000) * 1000;
  const expirationTimestamp = new Date(wholeSeconds).toISOString().replace('.000Z', 'Z');
  return `${JSON.stringify({ apiVersion, kind: 'ExecCredential', status: { expirationTimestamp, token } })}\n`;
}
