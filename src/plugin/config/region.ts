import { ConfigError } from '../../shared/base/errors.ts';
import { parseCommaList } from '../../shared/options/comma-list.ts';
import { rejectAllExchangeKeys } from './exchange-keys.ts';
import { inheritConsentHint, suggestChoice } from './cloud-entry.ts';
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
  readonly warnings: readonly string[];
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
  rejectAllExchangeKeys(region, regionLocation);
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

/** Reads `region_name`, which older files use for a list too: in YAML, or with commas. */
function listNamedRegions(entry: CloudEntry): ListedRegion[] {
  const origin = `region_name of ${entry.location}`;
  const names = parseCommaList(textFrom(entry.mapping.get('region_name') ?? null, origin, { asList: true }));
  return names.map((name) => ({
    name,
    selector: { text: name, origin, consentHint: entry.consentHint },
    entry: undefined,
  }));
}

/** The regions of a cloud or, if it has none, of its profile. */
interface RegionList {
  readonly regions: readonly ListedRegion[];
  /** It is not a list of all regions, so the user can name another one. */
  readonly isOpen: boolean;
}

function findRegions(groups: readonly (readonly CloudEntry[])[]): RegionList {
  for (const entries of groups) {
    const listed = entries.map(listRegions).find((list) => list.length > 0);
    if (listed !== undefined) return { regions: listed, isOpen: false };
    const named = entries.map(listNamedRegions).find((list) => list.length > 0);
    if (named !== undefined) return { regions: named, isOpen: named.length === 1 };
  }
  return { regions: [], isOpen: true };
}

/** As in openstacksdk, the first region of a list beats `region_name`. */
function warnOfOtherName(entries: readonly CloudEntry[], region: ListedRegion): string[] {
  const [named] = entries.flatMap(listNamedRegions);
  if (named === undefined || named.name === region.name) return [];
  return [`${named.selector.origin} is not used: the first of the ${region.selector.origin} is ${region.name}`];
}

/**
 * Chooses the region: the one that the user sets, or else the first one that the cloud lists, or that it names.
 *
 * @param entries of the cloud, strongest first; then those of its profile
 * @throws ConfigError when the cloud lists regions, but not this one
 */
export function chooseRegion(
  entries: { readonly cloud: readonly CloudEntry[]; readonly profile: readonly CloudEntry[] },
  setting: Setting | undefined,
): Region {
  const { regions, isOpen } = findRegions([entries.cloud, entries.profile]);
  const [first] = regions;
  if (setting === undefined) {
    if (first === undefined) return { selector: undefined, entries: [], warnings: [] };
    const warnings = warnOfOtherName(entries.cloud, first);
    return { selector: first.selector, entries: first.entry === undefined ? [] : [first.entry], warnings };
  }
  const selector = { text: String(setting.value), origin: setting.origin, consentHint: undefined };
  const region = regions.find(({ name }) => name === selector.text);
  if (region === undefined && !isOpen) {
    throw new ConfigError(`${selector.origin} names region "${selector.text}", which the cloud does not list`, {
      hint: suggestChoice(
        selector.text,
        regions.map(({ name }) => name),
      ),
    });
  }
  const entry = region?.entry;
  return { selector, entries: entry === undefined ? [] : [inheritConsentHint(selector, entry)], warnings: [] };
}
