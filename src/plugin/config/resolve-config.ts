import { ConfigError } from '../../shared/base/errors.ts';
import { makeConfig } from '../../shared/options/config.ts';
import type { Config } from '../../shared/options/config.ts';
import { findSetting, mergeLayers } from '../../shared/options/layer.ts';
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

/** Auth methods for which `openstack` completes the domains. */
const COMPLETED_METHODS: readonly unknown[] = [undefined, 'password', 'v3password', 'v3totp'];

/**
 * The domain that `openstack` takes for a user or project without one: the one with the ID "default", if version 3 of
 * the Identity API is asked for.
 */
function findLastDomain(merged: Layer): Setting | undefined {
  const version = merged.get('identity-api-version');
  if (version?.value !== '3' || !COMPLETED_METHODS.includes(merged.get('auth-type')?.value)) return undefined;
  return { ...version, value: 'default' };
}

/** As in openstacksdk, a domain applies to a user and a project without their own, whatever source sets it. */
function fillDomains(merged: MutableLayer): void {
  const last = findLastDomain(merged);
  // Without a project, the domain is the scope, and says nothing of the user.
  const applies = last === undefined || hasPair(merged, 'project');
  for (const target of ['user-domain', 'project-domain'] as const) {
    if (applies) fillPair(merged, target, 'domain');
    fillPair(merged, target, 'default-domain');
    if (last !== undefined && !hasPair(merged, target)) merged.set(`${target}-id`, last);
  }
}

/** Pairs whose ID and name may disagree if both are set. Projects are exempt: every openrc sets both. */
const WARNED_PAIRS: readonly PairName[] = ['user', 'user-domain', 'project-domain', 'domain'];

function warnOfBoth(layer: Layer): string[] {
  return WARNED_PAIRS.flatMap((pair) => {
    const id = layer.get(`${pair}-id`);
    const name = layer.get(`${pair}-name`);
    return id === undefined || name === undefined
      ? []
      : [`${id.origin} and ${name.origin} are both set; the ID takes precedence`];
  });
}

/**
 * Uses the ID of a weaker source if the name of an application credential has no user, without whom it names nothing.
 *
 * @returns what the user should know
 */
function replaceUselessName(merged: MutableLayer, layers: readonly Layer[]): string[] {
  const name = merged.get('application-credential-name');
  const id = findSetting(layers, 'application-credential-id');
  if (name === undefined || id === undefined || hasPair(merged, 'user')) return [];
  if (merged.has('application-credential-id')) return [];
  merged.delete('application-credential-name');
  merged.set('application-credential-id', id);
  return [`${name.origin} is not used, because no user is set; ${id.origin} is`];
}

/** Pairs in which `openstack` prefers an ID of any source to a name of a stronger one, and what makes them irrelevant. */
const COMPARED_PAIRS: readonly (readonly [PairName, OptionName | undefined])[] = [
  ['user', undefined],
  ['user-domain', 'user-id'],
  ['project', undefined],
  ['project-domain', 'project-id'],
  ['domain', 'project-id'],
  ['application-credential', undefined],
];

/** Names of things that the plugin uses although a weaker source has an ID: `openstack` would use the ID. */
function warnOfHiddenIds(layers: readonly Layer[], merged: Layer): string[] {
  return COMPARED_PAIRS.flatMap(([pair, irrelevantWith]) => {
    const name = merged.get(`${pair}-name`);
    const isRelevant = irrelevantWith === undefined || !merged.has(irrelevantWith);
    if (name === undefined || merged.has(`${pair}-id`) || !isRelevant) return [];
    const plain = pair === 'user-domain' || pair === 'project-domain' ? merged.get('domain-id') : undefined;
    const id = findSetting(layers, `${pair}-id`) ?? plain;
    return id === undefined ? [] : [`${name.origin} is used instead of ${id.origin}, which openstack would use`];
  });
}

/** Names a default domain that `openstack` would not look at: it only knows `OS_DEFAULT_DOMAIN`. */
function warnOfDefaultDomain(merged: Layer): string[] {
  const origin = (merged.get('default-domain-id') ?? merged.get('default-domain-name'))?.origin;
  if (origin === undefined || origin === 'OS_DEFAULT_DOMAIN' || findLastDomain(merged) === undefined) return [];
  return [`${origin} is used instead of the domain "default", which openstack would use`];
}

/** Secrets with something around them that cannot be meant, most likely. */
function warnOfFlaws(merged: Layer): string[] {
  return [...merged.values()].flatMap(({ origin, flaw }) =>
    flaw === undefined ? [] : [`${origin} ${flaw}; it is sent like that`],
  );
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
 * Merges layers, strongest first, key by key; a layer that sets the ID or the name of a thing replaces both.
 *
 * @throws ConfigError for a setting that is not supported
 */
export function resolveConfig(layers: readonly Layer[], options: readonly Option[]): ResolvedConfig {
  const merged = mergeLayers(layers, options);
  refuseUnsupported(merged);
  const warnings = [
    ...replaceUselessName(merged, layers),
    ...layers.flatMap(warnOfBoth),
    ...warnOfHiddenIds(layers, merged),
    ...warnOfDefaultDomain(merged),
    ...warnOfFlaws(merged),
  ];
  fillDomains(merged);
  return { ...makeConfig(merged), layers, warnings };
}
