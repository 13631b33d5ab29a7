import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { Option } from './option.ts';

/** A value with where it came from, in the words of a message: `OS_USERNAME`, `--user-name`. */
export interface Setting {
  readonly value: string | Secret;
  readonly origin: string;
  /** Present where the value merely lay in the current folder: how to consent to its use, as a phrase. */
  readonly consentHint?: string;
}

/** Everything that one source sets, by option name. */
export type Layer<Name extends string> = ReadonlyMap<Name, Setting>;

const TRUE = ['1', 'true', 't', 'yes', 'y', 'on'];
const FALSE = ['0', 'false', 'f', 'no', 'n', 'off'];

/**
 * Reads a switch in any usual spelling.
 *
 * @throws ConfigError when it is none of them
 */
function parseSwitch(text: string, origin: string, said: string): boolean {
  const word = text.trim().toLowerCase();
  if (TRUE.includes(word)) return true;
  if (FALSE.includes(word)) return false;
  throw new ConfigError(`${origin} must be true or false${said}`, { hint: `set ${origin} to true or false` });
}

function parseSeconds(text: string, origin: string): string {
  // A day: anything longer is a slip, and a timer cannot count beyond 24 of them.
  if (/^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 86_400) return text;
  throw new ConfigError(`${origin} must be a whole number of seconds from 1 to 86400, not "${text}"`, {
    hint: `set ${origin} to 30, for example`,
  });
}

/** Of an option that counts. */
export const MAX_LEVEL = 3;

/** Reads how often a flag stands there, or a switch in any usual spelling; off is as if it were not set. */
function parseLevel(text: string, origin: string): Setting | undefined {
  if (/^[0-9]{1,2}$/.test(text) && Number(text) <= MAX_LEVEL) {
    return Number(text) === 0 ? undefined : { value: text, origin };
  }
  return parseSwitch(text, origin, '') ? { value: '1', origin } : undefined;
}

/**
 * Checks one raw value and says where it came from; an empty one counts as unset.
 *
 * @param shown false where a message must not quote the value: in a file a password may stand in the wrong place
 * @throws ConfigError when the value is not of the option's kind or not among its choices
 */
export function parseSetting(option: Option, text: string, origin: string, shown = true): Setting | undefined {
  if (text === '') return undefined;
  const said = shown ? `, not "${text}"` : '';
  if (option.secret) return { value: new Secret(text), origin };
  if (option.kind === 'switch') return { value: String(parseSwitch(text, origin, said)), origin };
  if (option.kind === 'level') return parseLevel(text, origin);
  if (option.kind === 'seconds') return { value: parseSeconds(text, origin), origin };
  if (option.choices !== undefined && !option.choices.includes(text)) {
    throw new ConfigError(`${origin} must be ${option.choices.join(' or ')}${said}`, {
      hint: `set ${origin} to ${option.choices[0] ?? ''} or unset it`,
    });
  }
  return { value: text, origin };
}

/**
 * Makes a layer of what is found for each option. An option's older names count only where no name of its whole pair is
 * set: whoever sets the project by name does not mean a tenant's id.
 *
 * @param find the setting of an option under one of its usual or of its older names
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

/** Lays layers over each other, the strongest first; one that sets a part of a pair hides the whole pair below it. */
export function mergeLayers<Name extends string>(
  layers: readonly Layer<Name>[],
  options: readonly Option<Name>[],
): Map<Name, Setting> {
  const pairOf = new Map(options.map((option) => [option.name, option.pair]));
  const merged = new Map<Name, Setting>();
  const pairsTaken = new Set<string>();
  for (const layer of layers) {
    const taken = new Set(pairsTaken);
    for (const [name, setting] of layer) {
      const pair = pairOf.get(name);
      if (merged.has(name) || (pair !== undefined && taken.has(pair))) continue;
      merged.set(name, setting);
      if (pair !== undefined) pairsTaken.add(pair);
    }
  }
  return merged;
}
