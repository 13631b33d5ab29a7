import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { mergeLayers } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

/** One value for each option, whatever layer it came from, and that layer's name for it. */
export interface ResolvedConfig {
  /** The value of an option that is no secret. */
  text(name: string): string | undefined;
  /** The value of a secret option. */
  secret(name: string): Secret | undefined;
  /** Whether a switch is on. */
  isOn(name: string): boolean;
  has(name: string): boolean;
  /** Where the value came from, in the words of a message. */
  origin(name: string): string;
  /** The setting that counts, with all that is known of it. */
  setting(name: string): Setting | undefined;
  /** The layers it was made of, strongest first. */
  readonly layers: readonly Layer[];
  /** What a user should know although it is no error. */
  readonly warnings: readonly string[];
}

type MutableLayer = Map<string, Setting>;

const pairNames = (pair: string): readonly string[] => [`${pair}-id`, `${pair}-name`];

function hasAny(layer: Layer, names: readonly string[]): boolean {
  return names.some((name) => layer.has(name));
}

function fillPair(layer: MutableLayer, to: string, from: string): void {
  if (hasAny(layer, pairNames(to))) return;
  for (const kind of ['id', 'name']) {
    const setting = layer.get(`${from}-${kind}`);
    if (setting !== undefined) layer.set(`${to}-${kind}`, setting);
  }
}

/** Inside one layer a plain domain belongs to the user and the project that the same layer names. */
function fillDomains(layer: Layer): Layer {
  const filled: MutableLayer = new Map(layer);
  if (hasAny(layer, pairNames('user'))) fillPair(filled, 'user-domain', 'domain');
  if (hasAny(layer, pairNames('project'))) fillPair(filled, 'project-domain', 'domain');
  return filled;
}

/** What both the id and the name of are odd to set: they may disagree. Projects are exempt: every openrc sets both. */
const WARNED_PAIRS = ['user', 'user-domain', 'project-domain', 'domain'];

function warnOfBoth(layer: Layer): string[] {
  return WARNED_PAIRS.flatMap((pair) => {
    const id = layer.get(`${pair}-id`);
    const name = layer.get(`${pair}-name`);
    return id === undefined || name === undefined
      ? []
      : [`${id.origin} and ${name.origin} are both set; the id counts`];
  });
}

function merge(layers: readonly Layer[], options: readonly Option[]): MutableLayer {
  const merged: MutableLayer = mergeLayers(layers.map(fillDomains), options);
  for (const domain of ['domain', 'default-domain']) {
    fillPair(merged, 'user-domain', domain);
    fillPair(merged, 'project-domain', domain);
  }
  return merged;
}

/** A setting that this version knows of and cannot follow: going on without it would log in elsewhere. */
function refuseUnsupported(merged: Layer): void {
  const version = merged.get('identity-api-version');
  if (version !== undefined && !/^v?3(\.\d+)?$/.test(String(version.value))) {
    throw new ConfigError(
      `${version.origin} asks for Identity API version "${String(version.value)}"; only 3 is spoken`,
      {
        hint: `set ${version.origin} to 3 or unset it`,
      },
    );
  }
}

/**
 * Merges layers, strongest first, key by key; a layer that sets the id or the name of a thing replaces both.
 *
 * @throws ConfigError for a setting that cannot be followed
 */
export function resolveConfig(layers: readonly Layer[], options: readonly Option[]): ResolvedConfig {
  const merged = merge(layers, options);
  refuseUnsupported(merged);
  const value = (name: string): string | Secret | undefined => merged.get(name)?.value;
  return {
    text(name) {
      const found = value(name);
      return typeof found === 'string' ? found : undefined;
    },
    secret(name) {
      const found = value(name);
      return found instanceof Secret ? found : undefined;
    },
    isOn: (name) => value(name) === 'true',
    has: (name) => merged.has(name),
    origin: (name) => merged.get(name)?.origin ?? name,
    setting: (name) => merged.get(name),
    layers,
    warnings: layers.flatMap(warnOfBoth),
  };
}
