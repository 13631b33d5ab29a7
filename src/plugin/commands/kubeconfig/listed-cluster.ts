import type { PluginError } from '../../../shared/base/errors.ts';
import { isPrintable } from '../../../shared/base/terminal-text.ts';
import type { Layer } from '../../config/option.ts';

/** One of several clusters that get a context. */
export interface ListedCluster {
  readonly name: string;
  readonly server: string;
  /** PEM text; undefined for a public CA. */
  readonly authority: string | undefined;
  /** The settings of its own token exchange; undefined if it has none. */
  readonly exchange?: Layer;
}

/** A cluster that gets no context, and why. */
export interface LeftOutCluster {
  readonly name: string;
  readonly error: PluginError;
}

/** What a source says about several clusters. A bad cluster does not lose the others. */
export interface ClusterList {
  readonly clusters: readonly ListedCluster[];
  readonly leftOut: readonly LeftOutCluster[];
}

/** The longest name in Kubernetes, of a DNS subdomain. */
const MAX_NAME_LENGTH = 253;

/** Whether a server may give something this name. */
export function isUsableName(name: string | undefined): name is string {
  return name !== undefined && name !== '' && name.length <= MAX_NAME_LENGTH && isPrintable(name);
}
