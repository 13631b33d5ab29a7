import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { findSimilarName } from '../base/similar-name.ts';
import type { Option } from './option.ts';

/** A value and its origin, as text for messages: `OS_USERNAME`, `--user-name`. */
export interface Setting {
  readonly value: string | Secret;
  readonly origin: string;
  /**
   * How to consent to the use of the value, as a phrase. Present only if a file in the current folder holds the value.
   */
  readonly consentHint?: string;
  /** What is around a secret by mistake, most likely: "ends with a line break". */
  readonly flaw?: string;
}

/** Everything that one source sets, by option name. */
export type Layer<Name extends string> = ReadonlyMap<Name, Setting>;

/** Words for on and off in any usual spelling. */
const TRUE = ['1', 'true', 't', 'yes', 'y', 'on'];
const FALSE = ['0', 'false', 'f', 'no', 'n', 'off'];

/**
 * Parses a switch in any usual spelling.
 *
 * @throws ConfigError for any other text
 */
function parseSwitch(text: string, origin: string, quotation: string): boolean {
  const word = text.trim().toLowerCase();
  if (TRUE.includes(word)) return true;
  if (FALSE.includes(word)) return false;
  throw new ConfigError(`${origin} must be true or false${quotation}`, { hint: `set ${origin} to true or false` });
}

function isSwitchWord(text: string): boolean {
  const word = text.trim().toLowerCase();
  return TRUE.includes(word) || FALSE.includes(word);
}

function parseSeconds(text: string, origin: string): string {
  // At most a day: longer is a mistake, and Node's timers end at 24 days.
  if (/^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 86_400) return text;
  throw new ConfigError(`${origin} must be a whole number of seconds from 1 to 86400, not "${text}"`, {
    hint: `set ${origin} to 30, for example`,
  });
}

/** The highest value of a `level`. */
export const MAX_LEVEL = 3;

/** Parses the number of times that a flag is given, or a switch in any usual spelling; off counts as unset. */
function parseLevel(text: string, origin: string): Setting | undefined {
  if (/^[0-9]{1,2}$/.test(text) && Number(text) <= MAX_LEVEL) {
    return Number(text) === 0 ? undefined : { value: text, origin };
  }
  return parseSwitch(text, origin, '') ? { value: '1', origin } : undefined;
}

/** Half of a character, which no request can contain. Only an escape in YAML can name it. */
const LONE_SURROGATE = /[\ud800-\udfff]/u;

/** What takes the place of bytes that are not UTF-8 in a variable, an argument or what is typed. Nobody means it. */
const REPLACEMENT = '\ufffd';

/**
 * Checks one raw value and adds its origin; an empty value counts as unset.
 *
 * @param options.isInFile a message must not quote the value: a file may have a password in the wrong place
 * @throws ConfigError if the value is not text, not of the option's kind, or not one of its choices
 */
export function parseSetting(
  option: Option,
  raw: string,
  origin: string,
  { isInFile = false } = {},
): Setting | undefined {
  const text = option.isToken ? raw.trim() : raw;
  if (text === '') return undefined;
  if (LONE_SURROGATE.test(text)) {
    throw new ConfigError(`${origin} is not Unicode text`, { hint: 'write the whole character in the file, as UTF-8' });
  }
  if (!isInFile && text.includes(REPLACEMENT)) {
    throw new ConfigError(`${origin} is not UTF-8 text`, {
      hint: 'check the encoding of your terminal, and of the file that sets it',
    });
  }
  const quotation = isInFile ? '' : `, not "${text}"`;
  if (option.secret) return { value: new Secret(text), origin };
  if (option.kind === 'switch or file' && !isSwitchWord(text)) return { value: text, origin };
  if (option.kind === 'switch' || option.kind === 'switch or file')
    return { value: String(parseSwitch(text, origin, quotation)), origin };
  if (option.kind === 'level') return parseLevel(text, origin);
  if (option.kind === 'seconds') return { value: parseSeconds(text, origin), origin };
  if (option.choices !== undefined && !option.choices.includes(text)) {
    const meant = findSimilarName(text, option.choices);
    throw new ConfigError(`${origin} must be ${option.choices.join(' or ')}${quotation}`, {
      hint:
        meant === undefined ? `set ${origin} to ${option.choices[0] ?? ''} or unset it` : `did you mean "${meant}"?`,
    });
  }
  return { value: text, origin };
}

/**
 * Makes a layer of the settings that `find` returns. An option's older names count only if no usual name of its pair is
 * set: a user who sets the project by name does not mean the ID of a tenant.
 *
 * @param find returns the setting of an option under its usual or its older names
 */
export function makeLayer<One extends Option>(
  options: readonly One[],
  find: (option: One, names: 'usual' | 'older') => Setting | undefined,
): Layer<One['name']> {
  const layer = new Map<One['name'], Setting>();
  const pairsSet = new Set<string>();
  for (const option of options) {
    const setting = find(option, 'usual');
    if (setting === undefined) continue;
    layer.set(option.name, setting);
    if (option.pair !== undefined) pairsSet.add(option.pair);
  }
  for (const option of options) {
    if (option.pair !== undefined && pairsSet.has(option.pair)) continue;
    const setting = find(option, 'older');
    if (setting !== undefined) layer.set(option.name, setting);
  }
  return layer;
}

/** Finds the setting of the strongest layer that has one. */
export function findSetting<Name extends string>(layers: readonly Layer<Name>[], name: Name): Setting | undefined {
  return layers.map((layer) => layer.get(name)).find((setting) => setting !== undefined);
}

/** Merges layers, strongest first; a layer that sets one option of a pair hides the whole pair of weaker layers. */
export function mergeLayers<Name extends string>(
  layers: readonly Layer<Name>[],
  options: readonly Option<Name>[],
): Map<Name, Setting> {
  const pairOf = new Map(options.map((option) => [option.name, option.pair]));
  const merged = new Map<Name, Setting>();
  const strongerPairs = new Set<string>();
  for (const layer of layers) {
    const hiddenPairs = new Set(strongerPairs);
    for (const [name, setting] of layer) {
      const pair = pairOf.get(name);
      if (merged.has(name) || (pair !== undefined && hiddenPairs.has(pair))) continue;
      merged.set(name, setting);
      if (pair !== undefined) strongerPairs.add(pair);
    }
  }
  return merged;
}
