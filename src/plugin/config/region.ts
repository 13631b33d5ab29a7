import { ConfigError } from '../../shared/base/errors.ts';
import { inheritConsentHint } from './cloud-entry.ts';
import type { Selector, CloudEntry } from './cloud-entry.ts';
import { describeChoices } from './list-names.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { mappingAt, textFrom } from './yaml-mapping.ts';
import { unifyKeys } from '../../shared/options/yaml.ts';
import type { YamlValue } from '../../shared/options/yaml.ts';

/** The region of a cloud that is meant, and what the cloud says of it alone. */
export interface Region {
  /** Undefined where the cloud has none. */
  readonly selector: Selector | undefined;
  readonly entries: readonly CloudEntry[];
}

interface ListedRegion {
  readonly name: string;
  readonly selector: Selector;
  readonly entry: CloudEntry | undefined;
}

/** A region is its name, or a mapping of its name and of values that count there only. */
function readRegion(item: YamlValue, { location, consentHint }: CloudEntry): ListedRegion {
  const origin = `regions of ${location}`;
  const choose = (text: string): Selector => ({ text, origin, consentHint });
  if (!(item instanceof Map)) {
    const name = textFrom(item, origin);
    return { name, selector: choose(name), entry: undefined };
  }
  const region = unifyKeys(item, origin);
  const name = textFrom(region.get('name') ?? null, `name in ${origin}`);
  const there = `region ${name} of ${location}`;
  const mapping = unifyKeys(mappingAt(region, 'values', there), `values of ${there}`);
  return { name, selector: choose(name), entry: { mapping, location: there, consentHint } };
}

function listRegions(entry: CloudEntry): ListedRegion[] {
  const regions = entry.mapping.get('regions') ?? [];
  if (Array.isArray(regions)) return regions.map((item: YamlValue) => readRegion(item, entry));
  throw new ConfigError(`regions of ${entry.location} must be a list`, {
    hint: 'correct the file; the README shows what it holds',
  });
}

/**
 * Chooses the region: the one that is set, else the cloud's own choice, else the first one of its list.
 *
 * @param entries of the cloud, strongest first; the first one that lists regions counts
 * @throws ConfigError when there is a list and the region is not on it
 */
export function chooseRegion(
  entries: readonly CloudEntry[],
  set: Setting | undefined,
  own: Selector | undefined,
): Region {
  const listed = entries.map(listRegions).find((regions) => regions.length > 0);
  const wanted = set === undefined ? own : { text: String(set.value), origin: set.origin, consentHint: undefined };
  if (listed === undefined) return { selector: wanted, entries: [] };
  const region = wanted === undefined ? listed[0] : listed.find(({ name }) => name === wanted.text);
  if (region !== undefined) {
    return {
      selector: wanted ?? region.selector,
      entries: region.entry === undefined ? [] : [inheritConsentHint(wanted, region.entry)],
    };
  }
  throw new ConfigError(`${wanted?.origin ?? ''} names region "${wanted?.text ?? ''}", which the cloud does not list`, {
    hint: `set it to ${describeChoices(listed.map(({ name }) => name))}`,
  });
}
