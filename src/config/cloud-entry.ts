/** One entry of a file (a cloud, a region of it, a provider's profile) as a layer of settings. */
import { ConfigError } from '../errors.ts';
import { makeLayer, makeSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import { mappingAt, textFrom, unifyKeys } from './mapping.ts';
import { isBelowAuth, isInFile } from './option.ts';
import type { Option } from './option.ts';
import type { YamlMapping } from './yaml.ts';

/** What one file says of one thing. */
export interface Entry {
  /** With underscores for dashes. */
  readonly keys: YamlMapping;
  /** In the words of a message: `cloud prod in /etc/openstack/clouds.yaml`. */
  readonly where: string;
  /** See {@link Setting.untrusted}. */
  readonly untrusted: string | undefined;
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

function expandRegion(text: string, origin: string, region: string | undefined): string {
  if (!text.includes(REGION)) return text;
  if (region !== undefined) return text.replaceAll(REGION, () => region);
  throw new ConfigError(`${origin} needs a region, and none is set`, { hint: 'set OS_REGION_NAME (--region-name)' });
}

/**
 * Makes the layer of one entry: what is below `auth`, and what stands beside it where `auth` lacks it.
 *
 * @param region fills the template of a URL
 * @throws ConfigError naming the key whose value is not of its option's kind
 */
export function readEntry({ keys, where, untrusted }: Entry, options: readonly Option[], region?: string): Layer {
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
        const text = option.name === TEMPLATE ? expandRegion(raw, origin, region) : raw;
        const setting = makeSetting(option, text, origin, false);
        if (setting !== undefined) return untrusted === undefined ? setting : { ...setting, untrusted };
      }
    }
    return undefined;
  };
  return makeLayer(options.filter(isInFile), find);
}
