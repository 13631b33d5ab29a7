import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { VerdictSource } from '../authn/keystone-authenticator.ts';

/** What is counted, for Prometheus. */
export interface Metrics {
  readonly recordTokenReview: (result: string, source: VerdictSource, seconds: number) => void;
  readonly recordAccessReview: (result: string, seconds: number) => void;
  readonly recordBadRequest: () => void;
  readonly recordValidation: (outcome: string) => void;
  readonly recordIssuerKeysRead: (result: 'ok' | 'failed') => void;
  readonly recordReload: (what: string, result: 'ok' | 'failed') => void;
  readonly recordSynchronization: (result: 'ok' | 'failed') => void;
  readonly contentType: string;
  readonly render: () => Promise<string>;
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const PREFIX = 'keystone_auth_';

/**
 * Makes the metrics of one server.
 *
 * @param gauges values to read when asked, by name and meaning
 */
export function makeMetrics(
  gauges: Readonly<Record<string, { readonly help: string; readonly read: () => number }>>,
): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = (name: string, help: string, labelNames: readonly string[]): Counter =>
    new Counter({ name: PREFIX + name, help, labelNames: [...labelNames], registers });
  const tokens = counter('token_reviews_total', 'TokenReviews answered', ['result', 'source']);
  const accesses = counter('access_reviews_total', 'SubjectAccessReviews answered', ['result']);
  const bad = counter('bad_requests_total', 'Requests that were no review', []);
  const keystone = counter('keystone_judgements_total', 'Tokens that Keystone was asked about', ['outcome']);
  const issuer = counter('issuer_key_reads_total', 'Readings of the keys of the OpenID Connect issuer', ['result']);
  const reloads = counter('reloads_total', 'Files and ConfigMaps read again', ['what', 'result']);
  const syncs = counter('synchronisations_total', 'Projects synchronised with the cluster', ['result']);
  const seconds = new Histogram({
    name: `${PREFIX}review_seconds`,
    help: 'Time to answer a review',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers,
  });
  for (const [name, { help, read }] of Object.entries(gauges)) {
    new Gauge({
      name: PREFIX + name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
  return {
    recordTokenReview(result, source, took) {
      tokens.inc({ result, source });
      seconds.observe({ kind: 'TokenReview' }, took);
    },
    recordAccessReview(result, took) {
      accesses.inc({ result });
      seconds.observe({ kind: 'SubjectAccessReview' }, took);
    },
    recordBadRequest: () => {
      bad.inc();
    },
    recordValidation: (outcome) => {
      keystone.inc({ outcome });
    },
    recordIssuerKeysRead: (result) => {
      issuer.inc({ result });
    },
    recordReload: (what, result) => {
      reloads.inc({ what, result });
    },
    recordSynchronization: (result) => {
      syncs.inc({ result });
    },
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}
