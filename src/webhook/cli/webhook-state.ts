import type { CacheSizes } from '../authn/verdict-cache.ts';
import { EMPTY_POLICY } from '../authz/policy/policy.ts';
import type { Policy } from '../authz/policy/policy.ts';
import { makeMetrics } from '../observability/metrics.ts';
import type { Metrics } from '../observability/metrics.ts';
import { DEFAULT_SYNC_CONFIG } from '../sync/sync-config.ts';
import type { SyncConfig } from '../sync/sync-config.ts';

/** What can change while the webhook runs. */
export interface WebhookState {
  policy: Policy;
  syncConfig: SyncConfig;
  readCacheSizes: () => CacheSizes;
  /** How long ago the policy in force was last known to be what its source says, in ms. */
  readPolicyAge: () => number;
  /** When the certificate of the server expires, ms since 1970, UTC. */
  readCertificateExpiry: () => number;
}

/** The state before anything has been read. */
export function makeWebhookState(): WebhookState {
  return {
    policy: EMPTY_POLICY,
    syncConfig: DEFAULT_SYNC_CONFIG,
    readCacheSizes: () => ({ valid: 0, refused: 0 }),
    readPolicyAge: () => 0,
    readCertificateExpiry: () => 0,
  };
}

/** Makes the metrics of a webhook with gauges for its state. */
export function makeWebhookMetrics(state: WebhookState): Metrics {
  return makeMetrics({
    good_tokens: { help: 'Tokens cached as valid', read: () => state.readCacheSizes().valid },
    refused_tokens: { help: 'Tokens cached as refused', read: () => state.readCacheSizes().refused },
    policy_entries: { help: 'Entries of the policy in force', read: () => state.policy.entries.length },
    policy_age_seconds: {
      help: 'Seconds since the policy in force was last known to be what its file or ConfigMap contains',
      read: () => state.readPolicyAge() / 1_000,
    },
    certificate_expiry_timestamp_seconds: {
      help: 'When the certificate of the server expires, in seconds since 1970, UTC',
      read: () => state.readCertificateExpiry() / 1_000,
    },
  });
}
