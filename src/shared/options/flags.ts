import { UsageError } from '../base/errors.ts';
import { MAX_LEVEL, parseSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

/** Lists the names of an option's flag with their dashes. */
export function listFlagNames(option: Option): string[] {
  if (option.flag === false) return [];
  return [option.name, ...(option.aliases ?? [])].map((name) => (name.length === 1 ? `-${name}` : `--${name}`));
}

/**
 * Lists the names that `openstack` has for the flag of an option: those of its variables, in small letters. They are
 * accepted, and shown nowhere, because each table and each completion would list every option twice.
 */
export function listOpenStackNames({ name, env = [], legacyEnv = [] }: Option): string[] {
  const names = [...env, ...legacyEnv]
    .filter((variable) => variable.startsWith('OS_'))
    .map((variable) => `--${variable.toLowerCase().replaceAll('_', '-')}`);
  return names.length === 0 ? [] : [...new Set([...names, `--os-${name}`])];
}

/** Finds an option by a name of its flag, with the dashes. */
export type FindFlag<Name extends string = string> = (flag: string) => Option<Name> | undefined;

function mapNames<Name extends string>(
  options: readonly Option<Name>[],
  listNames: (option: Option) => readonly string[],
): ReadonlyMap<string, Option<Name>> {
  const optionOf = new Map<string, Option<Name>>();
  for (const option of options) {
    for (const name of listNames(option)) if (!optionOf.has(name)) optionOf.set(name, option);
  }
  return optionOf;
}

/**
 * Makes a function that finds options by the names of their flags. The names that are shown come first, because some are
 * the same. A list of names is made when the first flag needs it: most runs have few flags or none.
 */
export function makeFlagFinder<Name extends string>(options: readonly Option<Name>[]): FindFlag<Name> {
  let shown: ReadonlyMap<string, Option<Name>> | undefined;
  let others: ReadonlyMap<string, Option<Name>> | undefined;
  return (flag) => {
    if (!flag.startsWith('-')) return undefined;
    const option = (shown ??= mapNames(options, listFlagNames)).get(flag);
    return option ?? (others ??= mapNames(options, listOpenStackNames)).get(flag);
  };
}

/** Whether the argument after the flag is its value. */
export const takesValue = (option: Option): boolean => option.kind !== 'switch' && option.kind !== 'level';

/** Arguments in which each value is replaced by its index in `values`. */
export interface ExtractedValues {
  readonly argv: readonly string[];
  readonly values: readonly string[];
}

/** Writes short flags as pflag reads them: `-vvv` is three times `-v`, and `-ojson` is `-o=json`. */
function expandShortFlag(argument: string, findFlag: FindFlag): string[] {
  const [, name = '', rest = ''] = /^(-[^-=])([^=].*)$/s.exec(argument) ?? [];
  const option = findFlag(name);
  if (option === undefined) return [argument];
  if (takesValue(option)) return [`${name}=${rest}`];
  const isRepeated = option.kind === 'level' && /^-(.)\1+$/.test(argument);
  return isRepeated ? Array.from(argument.slice(1), () => name) : [argument];
}

/**
 * Extracts the values from the arguments before yargs sees them. Its parser would strip quotes that belong to a
 * password, read a value that starts with a dash as a flag, and read any word as false. As in pflag, the argument after
 * a flag is its value, whatever it looks like; a switch without a value is on; and `--` ends the flags.
 *
 * @throws UsageError if the last flag lacks its value
 */
export function extractFlagValues(argv: readonly string[], options: readonly Option[]): ExtractedValues {
  const findFlag = makeFlagFinder(options);
  const names: string[] = [];
  const values: string[] = [];
  let flagWithoutValue: string | undefined;
  const put = (name: string, value: string): void => {
    names.push(`${name}=${String(values.push(value) - 1)}`);
  };
  const levels = new Map<Option, number>();
  const putSwitch = (name: string, option: Option): void => {
    if (option.kind !== 'level') {
      put(name, 'true');
      return;
    }
    const level = Math.min((levels.get(option) ?? 0) + 1, MAX_LEVEL);
    levels.set(option, level);
    put(name, String(level));
  };
  let isAfterFlags = false;
  for (const argument of argv) {
    if (flagWithoutValue !== undefined) {
      put(flagWithoutValue, argument);
      flagWithoutValue = undefined;
      continue;
    }
    isAfterFlags ||= argument === '--';
    for (const flag of isAfterFlags ? [argument] : expandShortFlag(argument, findFlag)) {
      const [name = ''] = flag.split('=', 1);
      const option = isAfterFlags ? undefined : findFlag(name);
      if (option === undefined) names.push(flag);
      else if (name !== flag) put(name, flag.slice(name.length + 1));
      else if (takesValue(option)) flagWithoutValue = name;
      else putSwitch(name, option);
    }
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
    if (text === undefined) continue;
    const origin = listFlagNames(option)[0] ?? listOpenStackNames(option)[0] ?? option.name;
    const setting = parseSetting(option, text, origin);
    if (setting !== undefined) layer.set(option.name, setting);
  }
  return layer;
}
