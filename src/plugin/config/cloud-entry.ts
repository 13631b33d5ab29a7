/** One entry of a file (a cloud, a region of it, a provider's profile) as a layer of settings. */
import { ConfigError } from '../../shared/base/errors.ts';
import { makeLayer, parseSetting } from '../../shared/options/layer.ts';
import type { Layer, Setting } from '../../shared/options/layer.ts';
import { mappingAt, textFrom, unifyKeys } from '../../shared/options/yaml-mapping.ts';
import { isBelowAuth, isInCloudsYaml } from '../../shared/options/option.ts';
import type { Option } from '../../shared/options/option.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';

/** What one file says of one thing. */
export interface Entry {
  /** With underscores for dashes. */
  readonly keys: YamlMapping;
  /** In the words of a message: `cloud prod in /etc/openstack/clouds.yaml`. */
  readonly where: string;
  /** See {@link Setting.consentHint}. */
  readonly untrusted: string | undefined;
}

/** A word of an entry that decides what else is read. */
export interface Choice {
  readonly text: string;
  readonly origin: string;
  /** See {@link Setting.consentHint}; it passes on to what is chosen. */
  readonly untrusted: string | undefined;
}

/** The first of `keys` that is set, in the first entry that sets one. */
export function choiceIn(entries: readonly Entry[], ...keys: string[]): Choice | undefined {
  for (const { keys: values, where, untrusted } of entries) {
    for (const key of keys) {
      const origin = `${key} of ${where}`;
      const text = textFrom(values.get(key) ?? null, origin);
      if (text !== '') return { text, origin, untrusted };
    }
  }
  return undefined;
}

/** An entry that was chosen by a word of another; whoever vouches for it must vouch for both. */
export function chosenBy(choice: Choice | undefined, entry: Entry): Entry {
  return { ...entry, untrusted: entry.untrusted ?? choice?.untrusted };
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

function expandRegion(text: string, origin: string, region: Choice | undefined): string {
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
export function readEntry({ keys, where, untrusted }: Entry, options: readonly Option[], region?: Choice): Layer {
  const auth = unifyKeys(mappingAt(keys, 'auth', where), `auth of ${where}`);
  const places = [
    { prefix: 'auth.', values: auth },
    { prefix: '', values: keys },
  ];
  const find = (option: Option, names: 'usual' | 'older'): Setting | undefined => {
    for (const { prefix, values } of isBelowAuth(option) ? places : places.slice(1)) {
      for (const key of keysOf(option, names)) {
        const origin = `${prefix}${key} of ${where}`;
        const raw = textFrom(values.get(key) ?? null, origin, option.list);
        const filled = option.name === TEMPLATE && raw.includes(REGION);
        const setting = parseSetting(option, filled ? expandRegion(raw, origin, region) : raw, origin, false);
        const stranger = untrusted ?? (filled ? region?.untrusted : undefined);
        if (setting !== undefined) return stranger === undefined ? setting : { ...setting, consentHint: stranger };
      }
    }
    return undefined;
  };
  return makeLayer(options.filter(isInCloudsYaml), find);
}
