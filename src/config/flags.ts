import { UsageError } from '../errors.ts';
import { makeSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

/** The names of an option's flag, as typed. */
export function flagNames(option: Option): string[] {
  if (option.flag === false) return [];
  return [option.name, ...(option.aliases ?? [])].map((name) => (name.length === 1 ? `-${name}` : `--${name}`));
}

const takesValue = (option: Option): boolean => option.kind !== 'switch';

/**
 * Ties each value to its flag with `=`, as pflag does: the next argument is the value even if it begins with a dash, so
 * that a password may.
 *
 * @throws UsageError when the last flag lacks its value
 */
export function joinValues(argv: readonly string[], options: readonly Option[]): string[] {
  const valued = new Set(options.filter(takesValue).flatMap(flagNames));
  const joined: string[] = [];
  let waiting: string | undefined;
  for (const argument of argv) {
    if (waiting !== undefined) {
      joined.push(`${waiting}=${argument}`);
      waiting = undefined;
    } else if (valued.has(argument)) {
      waiting = argument;
    } else {
      joined.push(argument);
    }
  }
  if (waiting !== undefined) throw new UsageError(`${waiting} needs a value`, { hint: `write ${waiting}=VALUE` });
  return joined;
}

/**
 * Makes a layer of parsed flags.
 *
 * @param parsed values by option name, as the parser left them
 * @throws ConfigError when a value is not what its option takes
 */
export function readFlags(parsed: Readonly<Record<string, unknown>>, options: readonly Option[]): Layer {
  const layer = new Map<string, Setting>();
  for (const option of options) {
    const value = parsed[option.name];
    if (typeof value !== 'string' && typeof value !== 'boolean') continue;
    const setting = makeSetting(option, String(value), `--${option.name}`);
    if (setting !== undefined) layer.set(option.name, setting);
  }
  return layer;
}

/** The secret options that stand on the command line, where every user of the machine can read them. */
export function secretFlags(flags: Layer, options: readonly Option[]): Option[] {
  return options.filter((option) => option.secret && flags.has(option.name));
}
