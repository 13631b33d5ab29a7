import type { VerdictSource } from '../authn/authenticator.ts';
import { REFUSAL_CAUSES } from '../review/review.ts';
import type { RefusalCause } from '../review/review.ts';
import { makeMetricRegistry, makeServerMetrics, RESULTS, showAtZero } from './metric-registry.ts';
import type { Counter, Gauges, ServerMetrics } from './metric-registry.ts';

/** The metrics of the webhook, for Prometheus. */
export interface Metrics extends ServerMetrics {
  readonly recordTokenReview: (result: string, source: VerdictSource, seconds: number) => void;
  readonly recordRefusal: (cause: RefusalCause) => void;
  readonly recordAccessReview: (result: string, seconds: number) => void;
  readonly recordBadRequest: () => void;
  readonly recordIssuerKeysRead: (result: 'ok' | 'failed') => void;
  readonly recordSynchronization: (result: 'ok' | 'failed') => void;
}

/** Makes a function that increments a counter, and finds the series of each labels once. */
function countByLabels(counter: Counter): (...labels: readonly string[]) => void {
  const series = new Map<string, { inc(): void }>();
  return (...labels) => {
    const key = labels.join();
    let found = series.get(key);
    if (found === undefined) series.set(key, (found = counter.labels(...labels)));
    found.inc();
  };
}

/**
 * Makes the metrics of one webhook.
 *
 * @param gauges are read for each scrape
 */
export function makeMetrics(gauges: Gauges): Metrics {
  const registry = makeMetricRegistry(gauges);
  const { makeCounter, makeHistogram } = registry;
  const tokenReviews = makeCounter('token_reviews_total', 'Number of TokenReviews', ['result', 'source']);
  const refusals = makeCounter('refusals_total', 'Refused tokens', ['cause']);
  const accessReviews = makeCounter('access_reviews_total', 'Number of SubjectAccessReviews', ['result']);
  const badRequests = makeCounter('bad_requests_total', 'Requests that are not a review', []);
  const keyReads = makeCounter('issuer_key_reads_total', 'Fetches of the keys of the OpenID Connect issuer', [
    'result',
  ]);
  const synchronizations = makeCounter('synchronizations_total', 'Synchronizations of projects with the cluster', [
    'result',
  ]);
  const durations = makeHistogram('review_seconds', 'Duration of a review', ['kind']);
  // Found once, because prom-client compares all labels each time.
  const tokenDurations = durations.labels('TokenReview');
  const accessDurations = durations.labels('SubjectAccessReview');
  const countTokenReview = countByLabels(tokenReviews);
  const countAccessReview = countByLabels(accessReviews);
  showAtZero(keyReads, 'result', RESULTS);
  showAtZero(refusals, 'cause', REFUSAL_CAUSES);
  showAtZero(synchronizations, 'result', RESULTS);
  return {
    ...makeServerMetrics(registry),
    recordTokenReview(result, source, seconds) {
      countTokenReview(result, source);
      tokenDurations.observe(seconds);
    },
    recordRefusal: (cause) => {
      refusals.inc({ cause });
    },
    recordAccessReview(result, seconds) {
      countAccessReview(result);
      accessDurations.observe(seconds);
    },
    recordBadRequest: () => {
      badRequests.inc();
    },
    recordIssuerKeysRead: (result) => {
      keyReads.inc({ result });
    },
    recordSynchronization: (result) => {
      synchronizations.inc({ result });
    },
  };
}
