/** One entry of a file (a cloud, one of its regions, or a profile of a provider) as a layer of settings. */
import { ConfigError } from '../../shared/base/errors.ts';
import { findSimilarName } from '../../shared/base/similar-name.ts';
import { makeLayer, parseSetting } from '../../shared/options/layer.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Layer, Option } from './option.ts';
import { mappingAt, textFrom } from './yaml-mapping.ts';
import { rejectUnreadExchangeKeys } from './exchange-keys.ts';
import { unifyKeys } from '../../shared/options/unify-keys.ts';
import { isBelowAuth, isInCloudsYaml } from './option.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';

/** One entry of one file. */
export interface CloudEntry {
  /** Its keys have underscores instead of dashes. */
  readonly mapping: YamlMapping;
  /** As text for messages: `cloud prod in /etc/openstack/clouds.yaml`. */
  readonly location: string;
  /** See {@link Setting.consentHint}. */
  readonly consentHint: string | undefined;
}

/** A value of an entry that selects another entry. */
export interface Selector {
  readonly text: string;
  readonly origin: string;
  /** See {@link Setting.consentHint}; the selected entry inherits it. */
  readonly consentHint: string | undefined;
}

/** Finds the first of `keys` that is set, in the first entry that sets one. */
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

/** An entry that another entry selects: the user must trust both files. */
export function inheritConsentHint(selector: Selector | undefined, entry: CloudEntry): CloudEntry {
  return { ...entry, consentHint: entry.consentHint ?? selector?.consentHint };
}

/** The only option whose value is a template. */
const TEMPLATE_OPTION = 'keystone-url';
const REGION_PLACEHOLDER = '{region_name}';

const underscored = (name: string): string => name.replaceAll('-', '_');

const fromVariables = (variables: readonly string[] = []): string[] =>
  variables.filter((name) => name.startsWith('OS_')).map((name) => name.slice('OS_'.length).toLowerCase());

/** Lists the keys of an option: its variables without `OS_`, and its names with underscores, as in keystoneauth. */
function listKeys(option: Option, names: 'usual' | 'older'): string[] {
  if (names === 'older') return fromVariables(option.legacyEnv);
  return [...fromVariables(option.env), ...[option.name, ...(option.aliases ?? [])].map(underscored)];
}

/** Characters that cannot change the host or the structure of a URL. */
const SAFE_REGION = /^[\w.-]+$/;

function expandRegion(text: string, origin: string, region: Selector | undefined): string {
  if (region === undefined) {
    throw new ConfigError(`${origin} needs a region, but none is set`, { hint: 'set OS_REGION_NAME (--region-name)' });
  }
  if (!SAFE_REGION.test(region.text)) {
    throw new ConfigError(`the region in ${region.origin} is not valid in ${origin}`, {
      hint: 'use a region name of letters, digits, dots, dashes and underscores',
    });
  }
  return text.replaceAll(REGION_PLACEHOLDER, region.text);
}

/**
 * Makes a layer from one entry: the keys next to `auth` and, for options without such a key, the keys below it, as
 * openstacksdk 4.22 does. Version 0.101 prefers the keys below `auth`.
 *
 * @param region replaces the placeholder in a URL
 * @throws ConfigError with the name of the key when its value is not valid for its option
 */
export function makeCloudLayer(entry: CloudEntry, options: readonly Option[], region?: Selector): Layer {
  const { mapping, location, consentHint } = entry;
  const auth = unifyKeys(mappingAt(mapping, 'auth', location), `auth of ${location}`);
  rejectUnreadExchangeKeys(mapping, auth, location);
  const places = [
    { prefix: '', values: mapping },
    { prefix: 'auth.', values: auth },
  ];
  const find = (option: Option, names: 'usual' | 'older'): Setting | undefined => {
    for (const { prefix, values } of isBelowAuth(option) ? places : places.slice(0, 1)) {
      for (const key of listKeys(option, names)) {
        const origin = `${prefix}${key} of ${location}`;
        const raw = textFrom(values.get(key) ?? null, origin, { asList: option.list === true });
        const isTemplate = option.name === TEMPLATE_OPTION && raw.includes(REGION_PLACEHOLDER);
        const setting = parseSetting(option, isTemplate ? expandRegion(raw, origin, region) : raw, origin, {
          isInFile: true,
        });
        const hint = consentHint ?? (isTemplate ? region?.consentHint : undefined);
        if (setting !== undefined) return hint === undefined ? setting : { ...setting, consentHint: hint };
      }
    }
    return undefined;
  };
  return makeLayer(options.filter(isInCloudsYaml), find);
}

const MAX_CHOICES = 20;
const MAX_CHOICE_LENGTH = 64;

/** Lists names to choose from, as text for messages: at most 20 names, each of at most 64 characters. */
export function describeChoices(names: readonly string[]): string {
  if (names.length === 0) return 'an existing name (there are none)';
  const choices = names
    .slice(0, MAX_CHOICES)
    .map((name) => (name.length > MAX_CHOICE_LENGTH ? `${name.slice(0, MAX_CHOICE_LENGTH)}…` : name));
  const rest = names.length > MAX_CHOICES ? ` or one of ${names.length - MAX_CHOICES} more` : '';
  return choices.join(', ') + rest;
}

/** Suggests the name that a wrong one probably stands for, or lists those to choose from. */
export function suggestChoice(name: string, names: readonly string[]): string {
  const meant = findSimilarName(name, names);
  return meant === undefined ? `set it to ${describeChoices(names)}` : `did you mean "${meant}"?`;
}
