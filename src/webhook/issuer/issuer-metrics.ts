import { makeMetricRegistry, makeServerMetrics, RESULTS, showAtZero } from '../observability/metric-registry.ts';
import type { Gauges, ServerMetrics } from '../observability/metric-registry.ts';

/** The metrics of the issuer, for Prometheus. */
export interface IssuerMetrics extends ServerMetrics {
  /**
   * @param audience empty if it is none of the configured ones
   * @param result `issued`, or the error of OAuth 2.0
   */
  readonly recordExchange: (audience: string, result: string, seconds: number) => void;
  readonly recordKeysRead: (result: 'ok' | 'failed') => void;
  readonly recordRotation: () => void;
}

/**
 * Makes the metrics of one issuer.
 *
 * @param gauges are read for each scrape
 */
export function makeIssuerMetrics(gauges: Gauges): IssuerMetrics {
  const registry = makeMetricRegistry(gauges);
  const { makeCounter, makeHistogram } = registry;
  const exchanges = makeCounter('exchanges_total', 'Token exchanges', ['audience', 'result']);
  const keyReads = makeCounter('signing_key_reads_total', 'Reads of the store of the signing keys', ['result']);
  const rotations = makeCounter('signing_key_rotations_total', 'Signing keys that this replica has made', []);
  const durations = makeHistogram('exchange_seconds', 'Duration of a token exchange');
  showAtZero(keyReads, 'result', RESULTS);
  return {
    ...makeServerMetrics(registry),
    recordExchange(audience, result, seconds) {
      exchanges.inc({ audience, result });
      durations.observe(seconds);
    },
    recordKeysRead: (result) => {
      keyReads.inc({ result });
    },
    recordRotation: () => {
      rotations.inc();
    },
  };
}
