/** Who can read /metrics; the first is the default. */
export const METRICS_ACCESS = ['everyone', 'clients', 'off'] as const;

export type MetricsAccess = (typeof METRICS_ACCESS)[number];
