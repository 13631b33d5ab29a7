import { ConfigError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { Option } from './option.ts';

/** A value with where it came from, in the words of a message: `OS_USERNAME`, `--user-name`. */
export interface Setting {
  readonly value: string | Secret;
  readonly origin: string;
}

/** Everything one source sets, by option name. */
export type Layer = ReadonlyMap<string, Setting>;

const TRUE = ['1', 'true', 't', 'yes', 'y', 'on'];
const FALSE = ['0', 'false', 'f', 'no', 'n', 'off'];

/**
 * Reads a switch in any usual spelling.
 *
 * @throws ConfigError when it is none of them
 */
export function parseSwitch(text: string, origin: string): boolean {
  const word = text.trim().toLowerCase();
  if (TRUE.includes(word)) return true;
  if (FALSE.includes(word)) return false;
  throw new ConfigError(`${origin} must be true or false, not "${text}"`, { hint: `set ${origin} to true or false` });
}

function parseSeconds(text: string, origin: string): string {
  // A day: anything longer is a slip, and a timer cannot count beyond 24 of them.
  if (/^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 86_400) return text;
  throw new ConfigError(`${origin} must be a whole number of seconds from 1 to 86400, not "${text}"`, {
    hint: `set ${origin} to 30, for example`,
  });
}

/**
 * Checks one raw value and says where it came from; an empty one counts as unset.
 *
 * @throws ConfigError when the value is not of the option's kind or not among its choices
 */
export function makeSetting(option: Option, text: string, origin: string): Setting | undefined {
  if (text === '') return undefined;
  if (option.secret) return { value: new Secret(text), origin };
  if (option.kind === 'switch') return { value: String(parseSwitch(text, origin)), origin };
  if (option.kind === 'seconds') return { value: parseSeconds(text, origin), origin };
  if (option.choices !== undefined && !option.choices.includes(text)) {
    throw new ConfigError(`${origin} must be ${option.choices.join(' or ')}, not "${text}"`, {
      hint: `set ${origin} to ${option.choices[0] ?? ''} or unset it`,
    });
  }
  return { value: text, origin };
}
