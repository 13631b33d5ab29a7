import { UsageError } from '../../../shared/base/errors.ts';

/** A request that an application credential may make (Keystone API v3, "Access rules"). */
export interface AccessRule {
  readonly method: string;
  /** The type of a service in the catalog, such as compute. */
  readonly service: string;
  /** With the wildcards of Keystone: `*`, `**` and `{name}`. */
  readonly path: string;
}

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 7 * 86_400_000],
]);

/** A longer lifetime is probably a mistake. */
const MAX_LIFETIME_MS = 10 * 366 * 86_400_000;

/**
 * Parses a lifetime such as 90d.
 *
 * @returns ms
 * @throws UsageError
 */
export function parseLifetime(text: string): number {
  const [, digits = '', name = ''] = /^([1-9][0-9]{0,6})(min|h|d|w)$/.exec(text) ?? [];
  const lifetimeMs = Number(digits) * (UNITS_MS.get(name) ?? Number.NaN);
  if (lifetimeMs > 0 && lifetimeMs <= MAX_LIFETIME_MS) return lifetimeMs;
  throw new UsageError('--expires must be a number with a unit, up to ten years', {
    hint: `write 12h, 90d or 52w; the units are ${[...UNITS_MS.keys()].join(', ')}`,
  });
}

/**
 * Parses access rules such as `GET:compute:/v2.1/servers`.
 *
 * @throws UsageError
 */
export function parseAccessRules(rules: readonly string[]): readonly AccessRule[] {
  return rules.map((rule) => {
    const [, method, service, path] = /^([A-Za-z]+):([\w.-]+):(\/.*)$/.exec(rule) ?? [];
    if (method !== undefined && service !== undefined && path !== undefined) {
      return { method: method.toUpperCase(), service, path };
    }
    throw new UsageError('--access-rule must be METHOD:SERVICE:PATH', {
      hint: 'write GET:compute:/v2.1/servers, for example, and separate several rules with commas',
    });
  });
}
