import { UsageError } from '../base/errors.ts';
import { MAX_LEVEL, parseSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

/** Lists the names of an option's flag with their dashes. */
export function listFlagNames(option: Option): string[] {
  if (option.flag === false) return [];
  return [option.name, ...(option.aliases ?? [])].map((name) => (name.length === 1 ? `-${name}` : `--${name}`));
}

/** Whether the argument after the flag is its value. */
export const takesValue = (option: Option): boolean => option.kind !== 'switch' && option.kind !== 'level';

/** Arguments in which each value is replaced by its index in `values`. */
export interface ExtractedValues {
  readonly argv: readonly string[];
  readonly values: readonly string[];
}

/** Expands `-vvv` to three times `-v`. */
function expandLevel(argument: string, optionOf: ReadonlyMap<string, Option>): string[] {
  const [, letters = '', first = ''] = /^-((\w)\2+)$/.exec(argument) ?? [];
  const name = `-${first}`;
  return optionOf.get(name)?.kind === 'level' ? Array.from(letters, () => name) : [argument];
}

/**
 * Extracts the values from the arguments before the parser sees them. The parser would strip quotes that belong to a
 * password, read a value that starts with a dash as a flag, and read any word as false. As in pflag, the argument after
 * a flag is its value, whatever it looks like; a switch without a value is on.
 *
 * @throws UsageError if the last flag lacks its value
 */
export function extractFlagValues(argv: readonly string[], options: readonly Option[]): ExtractedValues {
  const optionOf = new Map(options.flatMap((option) => listFlagNames(option).map((name) => [name, option])));
  const names: string[] = [];
  const values: string[] = [];
  let flagWithoutValue: string | undefined;
  const put = (name: string, value: string): void => {
    names.push(`${name}=${String(values.push(value) - 1)}`);
  };
  const levels = new Map<Option, number>();
  for (const argument of argv.flatMap((rawArgument) => expandLevel(rawArgument, optionOf))) {
    const [name = ''] = argument.split('=', 1);
    const option = optionOf.get(name);
    if (flagWithoutValue !== undefined) {
      put(flagWithoutValue, argument);
      flagWithoutValue = undefined;
    } else if (option === undefined) names.push(argument);
    else if (name !== argument) put(name, argument.slice(name.length + 1));
    else if (takesValue(option)) flagWithoutValue = name;
    else if (option.kind === 'level') {
      const level = Math.min((levels.get(option) ?? 0) + 1, MAX_LEVEL);
      levels.set(option, level);
      put(name, String(level));
    } else put(name, 'true');
  }
  if (flagWithoutValue !== undefined)
    throw new UsageError(`${flagWithoutValue} needs a value`, { hint: `write ${flagWithoutValue}=VALUE` });
  return { argv: names, values };
}

/**
 * Makes a layer of parsed flags.
 *
 * @param parsed by option name: an index into `values`
 * @throws ConfigError if an option does not accept its value
 */
export function readFlags<Name extends string>(
  parsed: Readonly<Record<string, unknown>>,
  values: readonly string[],
  options: readonly Option<Name>[],
): Layer<Name> {
  const layer = new Map<Name, Setting>();
  for (const option of options) {
    const index = parsed[option.name];
    const text = typeof index === 'string' ? values[Number(index)] : undefined;
    const setting = text === undefined ? undefined : parseSetting(option, text, `--${option.name}`);
    if (setting !== undefined) layer.set(option.name, setting);
  }
  return layer;
}
