import { UsageError } from '../base/errors.ts';
import { MAX_LEVEL, parseSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

/** The names of an option's flag, as typed. */
export function listFlagNames(option: Option): string[] {
  if (option.flag === false) return [];
  return [option.name, ...(option.aliases ?? [])].map((name) => (name.length === 1 ? `-${name}` : `--${name}`));
}

/** Whether the next argument is its value. */
export const takesValue = (option: Option): boolean => option.kind !== 'switch' && option.kind !== 'level';

/** Finds the value of a flag in arguments that are not parsed yet; the last one counts. */
export function findFlagValue(argv: readonly string[], flag: string): string | undefined {
  const index = argv.findLastIndex((argument) => argument === flag || argument.startsWith(`${flag}=`));
  return argv[index] === flag ? argv[index + 1] : argv[index]?.slice(flag.length + 1);
}

/** Arguments whose values have been replaced by their index in `values`. */
export interface ExtractedValues {
  readonly argv: readonly string[];
  readonly values: readonly string[];
}

/** `-vvv` is three times `-v`. */
function spellOut(argument: string, optionOf: ReadonlyMap<string, Option>): string[] {
  const [, letters = '', first = ''] = /^-((\w)\2+)$/.exec(argument) ?? [];
  const name = `-${first}`;
  return optionOf.get(name)?.kind === 'level' ? Array.from(letters, () => name) : [argument];
}

/**
 * Takes the values out of the arguments before the parser sees them: it would strip quotes that belong to a password,
 * take a value that begins with a dash for a flag, and any word for false. As with pflag, the argument after a flag is
 * its value whatever it looks like; a switch alone is on.
 *
 * @throws UsageError when the last flag lacks its value
 */
export function extractFlagValues(argv: readonly string[], options: readonly Option[]): ExtractedValues {
  const optionOf = new Map(options.flatMap((option) => listFlagNames(option).map((name) => [name, option])));
  const names: string[] = [];
  const values: string[] = [];
  let waiting: string | undefined;
  const put = (name: string, value: string): void => {
    names.push(`${name}=${String(values.push(value) - 1)}`);
  };
  const levels = new Map<Option, number>();
  for (const argument of argv.flatMap((one) => spellOut(one, optionOf))) {
    const [name = ''] = argument.split('=', 1);
    const option = optionOf.get(name);
    if (waiting !== undefined) {
      put(waiting, argument);
      waiting = undefined;
    } else if (option === undefined) names.push(argument);
    else if (name !== argument) put(name, argument.slice(name.length + 1));
    else if (takesValue(option)) waiting = name;
    else if (option.kind === 'level') {
      const level = Math.min((levels.get(option) ?? 0) + 1, MAX_LEVEL);
      levels.set(option, level);
      put(name, String(level));
    } else put(name, 'true');
  }
  if (waiting !== undefined) throw new UsageError(`${waiting} needs a value`, { hint: `write ${waiting}=VALUE` });
  return { argv: names, values };
}

/**
 * Makes a layer of parsed flags.
 *
 * @param parsed by option name: an index into `values`
 * @throws ConfigError when a value is not what its option takes
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
