/** One entry of a file (a cloud, a region of it, a provider's profile) as a layer of settings. */
import { ConfigError } from '../../shared/base/errors.ts';
import { makeLayer, parseSetting } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer } from './option.ts';
import { mappingAt, textFrom } from './yaml-mapping.ts';
import { unifyKeys } from '../../shared/options/yaml.ts';
import { isBelowAuth, isInCloudsYaml } from './option.ts';
import type { Option } from './option.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';

/** What one file says of one thing. */
export interface CloudEntry {
  /** With underscores for dashes. */
  readonly mapping: YamlMapping;
  /** In the words of a message: `cloud prod in /etc/openstack/clouds.yaml`. */
  readonly location: string;
  /** See {@link Setting.consentHint}. */
  readonly consentHint: string | undefined;
}

/** A word of an entry that decides what else is read. */
export interface Selector {
  readonly text: string;
  readonly origin: string;
  /** See {@link Setting.consentHint}; it passes on to what is chosen. */
  readonly consentHint: string | undefined;
}

/** The first of `keys` that is set, in the first entry that sets one. */
export function findSelector(entries: readonly CloudEntry[], ...keys: string[]): Selector | undefined {
  for (const { mapping: values, location, consentHint } of entries) {
    for (const key of keys) {
      const origin = `${key} of ${location}`;
      const text = textFrom(values.get(key) ?? null, origin);
      if (text !== '') return { text, origin, consentHint };
    }
  }
  return undefined;
}

/** An entry that was chosen by a word of another; whoever vouches for it must vouch for both. */
export function inheritConsentHint(selector: Selector | undefined, entry: CloudEntry): CloudEntry {
  return { ...entry, consentHint: entry.consentHint ?? selector?.consentHint };
}

/** The only option in which the region's name is filled in: braces anywhere else are what they are. */
const TEMPLATE = 'keystone-url';
const REGION = '{region_name}';

const underscored = (name: string): string => name.replaceAll('-', '_');

const fromVariables = (variables: readonly string[] = []): string[] =>
  variables.filter((name) => name.startsWith('OS_')).map((name) => name.slice('OS_'.length).toLowerCase());

/** keystoneauth's keys are its variables without `OS_`, and its options' names with underscores. */
function keysOf(option: Option, names: 'usual' | 'older'): string[] {
  if (names === 'older') return fromVariables(option.legacyEnv);
  return [...fromVariables(option.env), ...[option.name, ...(option.aliases ?? [])].map(underscored)];
}

/** What may stand in a host's name or a path without becoming another's. */
const PLAIN = /^[\w.-]+$/;

function expandRegion(text: string, origin: string, region: Selector | undefined): string {
  if (region === undefined) {
    throw new ConfigError(`${origin} needs a region, and none is set`, { hint: 'set OS_REGION_NAME (--region-name)' });
  }
  if (!PLAIN.test(region.text)) {
    throw new ConfigError(`${region.origin} cannot be filled into ${origin}`, {
      hint: 'give a region of letters, digits, dots and dashes',
    });
  }
  return text.replaceAll(REGION, region.text);
}

/**
 * Makes the layer of one entry: what is below `auth`, and what stands beside it where `auth` lacks it.
 *
 * @param region fills the template of a URL
 * @throws ConfigError naming the key whose value is not of its option's kind
 */
export function makeCloudLayer(
  { mapping, location, consentHint }: CloudEntry,
  options: readonly Option[],
  region?: Selector,
): Layer {
  const auth = unifyKeys(mappingAt(mapping, 'auth', location), `auth of ${location}`);
  const places = [
    { prefix: 'auth.', values: auth },
    { prefix: '', values: mapping },
  ];
  const find = (option: Option, names: 'usual' | 'older'): Setting | undefined => {
    for (const { prefix, values } of isBelowAuth(option) ? places : places.slice(1)) {
      for (const key of keysOf(option, names)) {
        const origin = `${prefix}${key} of ${location}`;
        const raw = textFrom(values.get(key) ?? null, origin, option.list);
        const filled = option.name === TEMPLATE && raw.includes(REGION);
        const setting = parseSetting(option, filled ? expandRegion(raw, origin, region) : raw, origin, false);
        const stranger = consentHint ?? (filled ? region?.consentHint : undefined);
        if (setting !== undefined) return stranger === undefined ? setting : { ...setting, consentHint: stranger };
      }
    }
    return undefined;
  };
  return makeLayer(options.filter(isInCloudsYaml), find);
}
