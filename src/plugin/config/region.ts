import { ConfigError } from '../../shared/base/errors.ts';
import { describeChoices, inheritConsentHint } from './cloud-entry.ts';
import type { Selector, CloudEntry } from './cloud-entry.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { mappingAt, textFrom } from './yaml-mapping.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import type { YamlValue } from '../../shared/options/yaml.ts';

/** The selected region of a cloud, and the settings of the cloud for this region. */
export interface Region {
  /** Undefined when no region is set or listed. */
  readonly selector: Selector | undefined;
  readonly entries: readonly CloudEntry[];
}

interface ListedRegion {
  readonly name: string;
  readonly selector: Selector;
  readonly entry: CloudEntry | undefined;
}

/** Reads a region: a name, or a mapping with a name and with values for this region. */
function readRegion(item: YamlValue, { location, consentHint }: CloudEntry): ListedRegion {
  const origin = `regions of ${location}`;
  const makeSelector = (text: string): Selector => ({ text, origin, consentHint });
  if (!(item instanceof Map)) {
    const name = textFrom(item, origin);
    return { name, selector: makeSelector(name), entry: undefined };
  }
  const region = unifyKeys(item, origin);
  const name = textFrom(region.get('name') ?? null, `name in ${origin}`);
  const regionLocation = `region ${name} of ${location}`;
  const mapping = unifyKeys(mappingAt(region, 'values', regionLocation), `values of ${regionLocation}`);
  return { name, selector: makeSelector(name), entry: { mapping, location: regionLocation, consentHint } };
}

function listRegions(entry: CloudEntry): ListedRegion[] {
  const regions = entry.mapping.get('regions') ?? [];
  if (Array.isArray(regions)) return regions.map((item: YamlValue) => readRegion(item, entry));
  throw new ConfigError(`regions of ${entry.location} must be a list`, {
    hint: 'correct the file: write one indented "- NAME" line for each region',
  });
}

/**
 * Chooses the region: the one that is set, or the one that the cloud selects, or the first one that it lists.
 *
 * @param entries of the cloud, strongest first; the first entry with a list of regions counts
 * @throws ConfigError when the cloud lists regions, but not this one
 */
export function chooseRegion(
  entries: readonly CloudEntry[],
  setting: Setting | undefined,
  cloudSelector: Selector | undefined,
): Region {
  const regions = entries.map(listRegions).find((list) => list.length > 0);
  const selector =
    setting === undefined
      ? cloudSelector
      : { text: String(setting.value), origin: setting.origin, consentHint: undefined };
  if (regions === undefined) return { selector, entries: [] };
  const region = selector === undefined ? regions[0] : regions.find(({ name }) => name === selector.text);
  if (region !== undefined) {
    return {
      selector: selector ?? region.selector,
      entries: region.entry === undefined ? [] : [inheritConsentHint(selector, region.entry)],
    };
  }
  throw new ConfigError(
    `${selector?.origin ?? ''} names region "${selector?.text ?? ''}", which the cloud does not list`,
    {
      hint: `set it to ${describeChoices(regions.map(({ name }) => name))}`,
    },
  );
}
