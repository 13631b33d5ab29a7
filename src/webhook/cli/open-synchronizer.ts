import type { Clock } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { openCluster } from '../sources/cluster.ts';
import type { Cluster } from '../sources/cluster.ts';
import { makeSynchronizer } from '../sync/synchronizer.ts';
import type { Synchronizer } from '../sync/synchronizer.ts';
import type { WebhookSettings } from './settings.ts';
import type { WebhookState } from './webhook-state.ts';

/** Returns a function that opens the cluster at the first call. */
export function shareCluster({ kubeconfigFile }: WebhookSettings, clock: Clock): () => Promise<Cluster> {
  let cluster: Promise<Cluster> | undefined;
  return () => (cluster ??= openCluster(kubeconfigFile, clock));
}

export interface SynchronizerContext {
  readonly settings: WebhookSettings;
  readonly state: WebhookState;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cluster: () => Promise<Cluster>;
  readonly clock: Clock;
}

const doNothing: Synchronizer = () => Promise.resolve();

/**
 * Makes the synchronizer that the settings ask for, or one that does nothing.
 *
 * @throws ConfigError if a kubeconfig is set but not usable
 */
export async function openSynchronizer(context: SynchronizerContext): Promise<Synchronizer> {
  const { settings, state, log, metrics, cluster, clock } = context;
  if (settings.syncFile === undefined && settings.syncConfigMapName === undefined) return doNothing;
  try {
    return makeSynchronizer({
      cluster: await cluster(),
      config: () => state.syncConfig,
      clock,
      onSynchronized: () => {
        metrics.recordSynchronization('ok');
      },
      onFailed: (reason) => {
        metrics.recordSynchronization('failed');
        log.error({ reason }, 'a project was not synchronized');
      },
      onSkipped: (what) => {
        log.warn({ what }, 'not synchronized');
      },
    });
  } catch (error) {
    // Role mappings alone need no cluster.
    if (!(error instanceof PluginError) || settings.kubeconfigFile !== undefined) throw error;
    log.warn({ reason: error.message }, 'nothing is synchronized');
    return doNothing;
  }
}
