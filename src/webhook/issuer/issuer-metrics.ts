import { makeMetricRegistry, makeServerMetrics, RESULTS, showAtZero } from '../observability/metric-registry.ts';
import type { Gauges, ServerMetrics } from '../observability/metric-registry.ts';
import { EXCHANGE_REFUSAL_CAUSES } from './oauth-error.ts';
import type { ExchangeRefusalCause } from './oauth-error.ts';

/** The metrics of the issuer, for Prometheus. */
export interface IssuerMetrics extends ServerMetrics {
  /**
   * @param audience empty if it is none of the configured ones
   * @param result `issued`, or the error of OAuth 2.0
   */
  readonly recordExchange: (audience: string, result: string, seconds: number) => void;
  readonly recordRefusal: (cause: ExchangeRefusalCause) => void;
  readonly recordKeysRead: (result: 'ok' | 'failed') => void;
  readonly recordRotation: () => void;
}

/**
 * Makes the metrics of one issuer.
 *
 * @param gauges are read for each scrape
 * @param findKeyId returns the ID of the key that signs now, which each scrape shows
 */
export function makeIssuerMetrics(gauges: Gauges, findKeyId: () => string | undefined): IssuerMetrics {
  const registry = makeMetricRegistry(gauges);
  const { makeCounter, makeHistogram, registerInfo } = registry;
  registerInfo('signing_key_info', 'The key that signs now', 'kid', findKeyId);
  const exchanges = makeCounter('exchanges_total', 'Token exchanges', ['audience', 'result']);
  const refusals = makeCounter('exchange_refusals_total', 'Refused token exchanges', ['cause']);
  const keyReads = makeCounter('signing_key_reads_total', 'Reads of the store of the signing keys', ['result']);
  const rotations = makeCounter('signing_key_rotations_total', 'Signing keys that this replica has made', []);
  const durations = makeHistogram('exchange_seconds', 'Duration of a token exchange');
  showAtZero(keyReads, 'result', RESULTS);
  showAtZero(refusals, 'cause', EXCHANGE_REFUSAL_CAUSES);
  return {
    ...makeServerMetrics(registry),
    recordExchange(audience, result, seconds) {
      exchanges.inc({ audience, result });
      durations.observe(seconds);
    },
    recordRefusal: (cause) => {
      refusals.inc({ cause });
    },
    recordKeysRead: (result) => {
      keyReads.inc({ result });
    },
    recordRotation: () => {
      rotations.inc();
    },
  };
}
