import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { VerdictSource } from '../authn/authenticator.ts';
import { REFUSAL_CAUSES } from '../review/review.ts';
import type { RefusalCause } from '../review/review.ts';

/** The metrics of the webhook, for Prometheus. */
export interface Metrics {
  readonly recordTokenReview: (result: string, source: VerdictSource, seconds: number) => void;
  readonly recordRefusal: (cause: RefusalCause) => void;
  readonly recordAccessReview: (result: string, seconds: number) => void;
  readonly recordBadRequest: () => void;
  readonly recordValidation: (outcome: string, seconds: number) => void;
  readonly recordIssuerKeysRead: (result: 'ok' | 'failed') => void;
  readonly recordDroppedNames: (count: number) => void;
  /** Shows the content that was read at the start as good. */
  readonly recordStart: (what: string) => void;
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

/** Metrics of prom-client whose names break a rule of Prometheus: only counters end in `_total`. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

const RESULTS = ['ok', 'failed'] as const;

/** Shows series as 0 from the start, because Prometheus sees no increase in the first value of a series. */
function showAtZero(counter: Counter, label: string, values: readonly string[]): void {
  for (const value of values) counter.inc({ [label]: value }, 0);
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
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const counter = (name: string, help: string, labelNames: readonly string[]): Counter =>
    new Counter({ name: PREFIX + name, help, labelNames: [...labelNames], registers });
  const tokenReviews = counter('token_reviews_total', 'Number of TokenReviews', ['result', 'source']);
  const refusals = counter('refusals_total', 'Refused tokens', ['cause']);
  const accessReviews = counter('access_reviews_total', 'Number of SubjectAccessReviews', ['result']);
  const badRequests = counter('bad_requests_total', 'Requests that are not a review', []);
  const validations = counter('keystone_judgements_total', 'Tokens sent to Keystone for validation', ['outcome']);
  const keyReads = counter('issuer_key_reads_total', 'Fetches of the keys of the OpenID Connect issuer', ['result']);
  const droppedNames = counter('dropped_names_total', 'Names of groups that users did not get in the cluster', []);
  const reloads = counter('reloads_total', 'Reloads of files and ConfigMaps', ['what', 'result']);
  const lastReloads = new Gauge({
    name: `${PREFIX}last_reload_successful`,
    help: 'Whether the last content of files or of a ConfigMap is in force: 1, or 0 if it is invalid',
    labelNames: ['what'],
    registers,
  });
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
  showAtZero(keyReads, 'result', RESULTS);
  showAtZero(refusals, 'cause', REFUSAL_CAUSES);
  showAtZero(validations, 'outcome', ['valid', 'refused', 'unknown']);
  showAtZero(synchronizations, 'result', RESULTS);
  registerGauges(registry, gauges);
  return {
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
    recordStart: (what) => {
      for (const result of RESULTS) reloads.inc({ what, result }, 0);
      lastReloads.set({ what }, 1);
    },
    recordReload: (what, result) => {
      reloads.inc({ what, result });
      lastReloads.set({ what }, result === 'ok' ? 1 : 0);
    },
    recordSynchronization: (result) => {
      synchronizations.inc({ result });
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}
