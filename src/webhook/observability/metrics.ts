import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { VerdictSource } from '../authn/authenticator.ts';

/** The metrics of the webhook, for Prometheus. */
export interface Metrics {
  readonly recordTokenReview: (result: string, source: VerdictSource, seconds: number) => void;
  readonly recordAccessReview: (result: string, seconds: number) => void;
  readonly recordBadRequest: () => void;
  readonly recordValidation: (outcome: string, seconds: number) => void;
  readonly recordIssuerKeysRead: (result: 'ok' | 'failed') => void;
  readonly recordDroppedNames: (count: number) => void;
  readonly recordReload: (what: string, result: 'ok' | 'failed') => void;
  readonly recordSynchronization: (result: 'ok' | 'failed') => void;
  readonly contentType: string;
  readonly render: () => Promise<string>;
}

const BUCKETS_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const PREFIX = 'keystone_auth_';

/** Values to expose, by name. */
export type Gauges = Readonly<Record<string, { readonly help: string; readonly read: () => number }>>;

function registerGauges(registry: Registry, gauges: Gauges): void {
  for (const [name, { help, read }] of Object.entries(gauges)) {
    new Gauge({
      name: PREFIX + name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }
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
 * Makes the metrics of one server.
 *
 * @param gauges are read for each scrape
 */
export function makeMetrics(gauges: Gauges): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = (name: string, help: string, labelNames: readonly string[]): Counter =>
    new Counter({ name: PREFIX + name, help, labelNames: [...labelNames], registers });
  const tokenReviews = counter('token_reviews_total', 'Number of TokenReviews', ['result', 'source']);
  const accessReviews = counter('access_reviews_total', 'Number of SubjectAccessReviews', ['result']);
  const badRequests = counter('bad_requests_total', 'Requests that are not a review', []);
  const validations = counter('keystone_judgements_total', 'Tokens sent to Keystone for validation', ['outcome']);
  const keyReads = counter('issuer_key_reads_total', 'Fetches of the keys of the OpenID Connect issuer', ['result']);
  const droppedNames = counter('dropped_names_total', 'Names of groups that users did not get in the cluster', []);
  const reloads = counter('reloads_total', 'Reloads of files and ConfigMaps', ['what', 'result']);
  const synchronizations = counter('synchronisations_total', 'Synchronizations of projects with the cluster', [
    'result',
  ]);
  const durations = new Histogram({
    name: `${PREFIX}review_seconds`,
    help: 'Duration of a review',
    labelNames: ['kind'],
    buckets: BUCKETS_SECONDS,
    registers,
  });
  const keystoneDurations = new Histogram({
    name: `${PREFIX}keystone_seconds`,
    help: 'Time that Keystone needs for a token',
    buckets: BUCKETS_SECONDS,
    registers,
  });
  // Found once, because prom-client compares all labels each time.
  const tokenDurations = durations.labels('TokenReview');
  const accessDurations = durations.labels('SubjectAccessReview');
  const countTokenReview = countByLabels(tokenReviews);
  const countAccessReview = countByLabels(accessReviews);
  registerGauges(registry, gauges);
  return {
    recordTokenReview(result, source, seconds) {
      countTokenReview(result, source);
      tokenDurations.observe(seconds);
    },
    recordAccessReview(result, seconds) {
      countAccessReview(result);
      accessDurations.observe(seconds);
    },
    recordBadRequest: () => {
      badRequests.inc();
    },
    recordValidation(outcome, seconds) {
      validations.inc({ outcome });
      keystoneDurations.observe(seconds);
    },
    recordIssuerKeysRead: (result) => {
      keyReads.inc({ result });
    },
    recordDroppedNames: (count) => {
      droppedNames.inc(count);
    },
    recordReload: (what, result) => {
      reloads.inc({ what, result });
    },
    recordSynchronization: (result) => {
      synchronizations.inc({ result });
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}
