/** What the metrics of the webhook and of the issuer have in common. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export type { Counter } from 'prom-client';

/** What /metrics answers. */
export interface MetricsPage {
  readonly contentType: string;
  readonly render: () => Promise<string>;
}

/** Metrics of the files and ConfigMaps that a server reads again when they change. */
export interface ReloadMetrics {
  /** Shows the content that was read at the start as good. */
  readonly recordStart: (what: string) => void;
  readonly recordReload: (what: string, result: 'ok' | 'failed') => void;
}

/** The metrics of every server that asks Keystone about tokens. */
export interface ServerMetrics extends MetricsPage, ReloadMetrics {
  readonly recordValidation: (outcome: string, seconds: number) => void;
  readonly recordDroppedNames: (count: number) => void;
}

export const BUCKETS_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
export const METRIC_PREFIX = 'keystone_auth_';

/** Values to expose, by name. */
export type Gauges = Readonly<Record<string, { readonly help: string; readonly read: () => number }>>;

function registerGauges(registry: Registry, gauges: Gauges): void {
  for (const [name, { help, read }] of Object.entries(gauges)) {
    new Gauge({
      name: METRIC_PREFIX + name,
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

/** The results of what can fail. */
export const RESULTS = ['ok', 'failed'] as const;

/** Shows series as 0 from the start, because Prometheus sees no increase in the first value of a series. */
export function showAtZero(counter: Counter, label: string, values: readonly string[]): void {
  for (const value of values) counter.inc({ [label]: value }, 0);
}

export interface MetricRegistry {
  readonly registry: Registry;
  /** Exposes a text as a label of a series that is 1; none while there is no text. */
  readonly registerInfo: (name: string, help: string, label: string, read: () => string | undefined) => void;
  readonly makeCounter: (name: string, help: string, labelNames: readonly string[]) => Counter;
  readonly makeHistogram: (name: string, help: string, labelNames?: readonly string[]) => Histogram;
}

/** Makes a registry with the metrics of the process and with gauges that are read for each scrape. */
export function makeMetricRegistry(gauges: Gauges): MetricRegistry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  registerGauges(registry, gauges);
  return {
    registry,
    registerInfo: (name, help, label, read) => {
      new Gauge({
        name: METRIC_PREFIX + name,
        help,
        labelNames: [label],
        registers,
        collect() {
          // Without the text of the last scrape.
          this.reset();
          const text = read();
          if (text !== undefined) this.set({ [label]: text }, 1);
        },
      });
    },
    makeCounter: (name, help, labelNames) =>
      new Counter({ name: METRIC_PREFIX + name, help, labelNames: [...labelNames], registers }),
    makeHistogram: (name, help, labelNames = []) =>
      new Histogram({
        name: METRIC_PREFIX + name,
        help,
        labelNames: [...labelNames],
        buckets: BUCKETS_SECONDS,
        registers,
      }),
  };
}

/** Makes the metrics that every server has. */
export function makeServerMetrics({ registry, makeCounter, makeHistogram }: MetricRegistry): ServerMetrics {
  const validations = makeCounter('keystone_validations_total', 'Tokens sent to Keystone for validation', ['outcome']);
  const droppedNames = makeCounter('dropped_names_total', 'Names of groups that users did not get in the cluster', []);
  const reloads = makeCounter('reloads_total', 'Reloads of files and ConfigMaps', ['what', 'result']);
  const lastReloads = new Gauge({
    name: `${METRIC_PREFIX}last_reload_successful`,
    help: 'Whether the last content of files or of a ConfigMap is in force: 1, or 0 if it is invalid',
    labelNames: ['what'],
    registers: [registry],
  });
  const keystoneDurations = makeHistogram('keystone_seconds', 'Time that Keystone needs for a token');
  showAtZero(validations, 'outcome', ['valid', 'refused', 'unknown']);
  return {
    recordValidation(outcome, seconds) {
      validations.inc({ outcome });
      keystoneDurations.observe(seconds);
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
    contentType: registry.contentType,
    render: () => registry.metrics(),
  };
}
