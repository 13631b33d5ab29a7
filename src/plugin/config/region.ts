import { ConfigError } from '../../shared/base/errors.ts';
import { chosenBy } from './cloud-entry.ts';
import type { Choice, Entry } from './cloud-entry.ts';
import { listNames } from './list-names.ts';
import type { Setting } from '../../shared/options/layer.ts';
import { mappingAt, textFrom, unifyKeys } from '../../shared/options/yaml-mapping.ts';
import type { YamlValue } from '../../shared/options/yaml.ts';

/** The region of a cloud that is meant, and what the cloud says of it alone. */
export interface Region {
  /** Undefined where the cloud has none. */
  readonly choice: Choice | undefined;
  readonly entries: readonly Entry[];
}

interface Listed {
  readonly name: string;
  readonly choice: Choice;
  readonly entry: Entry | undefined;
}

/** A region is its name, or a mapping of its name and of values that count there only. */
function readRegion(item: YamlValue, { where, untrusted }: Entry): Listed {
  const origin = `regions of ${where}`;
  const choose = (text: string): Choice => ({ text, origin, untrusted });
  if (!(item instanceof Map)) {
    const name = textFrom(item, origin);
    return { name, choice: choose(name), entry: undefined };
  }
  const region = unifyKeys(item, origin);
  const name = textFrom(region.get('name') ?? null, `name in ${origin}`);
  const there = `region ${name} of ${where}`;
  const keys = unifyKeys(mappingAt(region, 'values', there), `values of ${there}`);
  return { name, choice: choose(name), entry: { keys, where: there, untrusted } };
}

function listRegions(entry: Entry): Listed[] {
  const regions = entry.keys.get('regions') ?? [];
  if (Array.isArray(regions)) return regions.map((item: YamlValue) => readRegion(item, entry));
  throw new ConfigError(`regions of ${entry.where} must be a list`, {
    hint: 'correct the file; the README shows what it holds',
  });
}

/**
 * Chooses the region: the one that is set, else the cloud's own choice, else the first one of its list.
 *
 * @param entries of the cloud, strongest first; the first one that lists regions counts
 * @throws ConfigError when there is a list and the region is not on it
 */
export function chooseRegion(entries: readonly Entry[], set: Setting | undefined, own: Choice | undefined): Region {
  const listed = entries.map(listRegions).find((regions) => regions.length > 0);
  const wanted = set === undefined ? own : { text: String(set.value), origin: set.origin, untrusted: undefined };
  if (listed === undefined) return { choice: wanted, entries: [] };
  const region = wanted === undefined ? listed[0] : listed.find(({ name }) => name === wanted.text);
  if (region !== undefined) {
    return {
      choice: wanted ?? region.choice,
      entries: region.entry === undefined ? [] : [chosenBy(wanted, region.entry)],
    };
  }
  throw new ConfigError(`${wanted?.origin ?? ''} names region "${wanted?.text ?? ''}", which the cloud does not list`, {
    hint: `set it to ${listNames(listed.map(({ name }) => name))}`,
  });
}
