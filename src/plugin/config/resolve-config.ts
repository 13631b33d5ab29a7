import { ConfigError } from '../../shared/base/errors.ts';
import { makeConfig } from '../../shared/options/config.ts';
import type { Config } from '../../shared/options/config.ts';
import { mergeLayers } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer, Option, OptionName, PairName } from './option.ts';

/** One value for each option that is set, from the strongest layer that sets it. */
export interface ResolvedConfig extends Config<OptionName> {
  /** The layers, strongest first. */
  readonly layers: readonly Layer[];
  /** Warnings for the user. */
  readonly warnings: readonly string[];
}

/** Lists those of these options that are not set. */
export function listUnset(config: ResolvedConfig, ...names: readonly OptionName[]): OptionName[] {
  return names.filter((name) => !config.has(name));
}

type MutableLayer = Map<OptionName, Setting>;

const hasPair = (layer: Layer, pair: PairName): boolean => layer.has(`${pair}-id`) || layer.has(`${pair}-name`);

function fillPair(layer: MutableLayer, to: PairName, from: PairName): void {
  if (hasPair(layer, to)) return;
  for (const kind of ['id', 'name'] as const) {
    const setting = layer.get(`${from}-${kind}`);
    if (setting !== undefined) layer.set(`${to}-${kind}`, setting);
  }
}

/** In one layer, a domain also applies to the user and the project that the layer sets. */
function fillDomains(layer: Layer): Layer {
  const filled: MutableLayer = new Map(layer);
  if (hasPair(filled, 'user')) fillPair(filled, 'user-domain', 'domain');
  if (hasPair(filled, 'project')) fillPair(filled, 'project-domain', 'domain');
  return filled;
}

/** Pairs whose id and name may disagree if both are set. Projects are exempt: every openrc sets both. */
const WARNED_PAIRS: readonly PairName[] = ['user', 'user-domain', 'project-domain', 'domain'];

function warnOfBoth(layer: Layer): string[] {
  return WARNED_PAIRS.flatMap((pair) => {
    const id = layer.get(`${pair}-id`);
    const name = layer.get(`${pair}-name`);
    return id === undefined || name === undefined
      ? []
      : [`${id.origin} and ${name.origin} are both set; the id takes precedence`];
  });
}

function merge(layers: readonly Layer[], options: readonly Option[]): MutableLayer {
  const merged = mergeLayers(layers.map(fillDomains), options);
  for (const domain of ['domain', 'default-domain'] as const) {
    fillPair(merged, 'user-domain', domain);
    fillPair(merged, 'project-domain', domain);
  }
  return merged;
}

/**
 * Rejects an unsupported version: without this, the plugin would log in with another version than the user asks for.
 */
function refuseUnsupported(merged: Layer): void {
  const version = merged.get('identity-api-version');
  if (version !== undefined && !/^v?3(\.\d+)?$/.test(String(version.value))) {
    throw new ConfigError(
      `${version.origin} asks for Identity API version "${String(version.value)}"; the plugin supports only 3`,
      {
        hint: `set ${version.origin} to 3 or unset it`,
      },
    );
  }
}

/**
 * Merges layers, strongest first, key by key; a layer that sets the id or the name of a thing replaces both.
 *
 * @throws ConfigError for a setting that is not supported
 */
export function resolveConfig(layers: readonly Layer[], options: readonly Option[]): ResolvedConfig {
  const merged = merge(layers, options);
  refuseUnsupported(merged);
  return { ...makeConfig(merged), layers, warnings: layers.flatMap(warnOfBoth) };
}
