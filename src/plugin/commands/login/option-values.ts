/** The choices of a login as flags and variables, so that the next run does not prompt. */
import type { Layer, Option } from '../../config/option.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import type { OutputData } from '../command.ts';
import { quoteForShell } from '../quote-for-shell.ts';

/** An option and the value to set. */
export interface OptionValue {
  readonly option: Option;
  readonly value: string;
}

/** Lists the values in a layer that are not secret. */
export function listOptionValues(layer: Layer): readonly OptionValue[] {
  return OPTIONS.flatMap((option) => {
    const value = layer.get(option.name)?.value;
    return typeof value === 'string' ? [{ option, value }] : [];
  });
}

/** Lists the values that `complete` adds to `before`, without secrets. */
export function listAddedOptionValues(before: ResolvedConfig, complete: ResolvedConfig): readonly OptionValue[] {
  return OPTIONS.flatMap((option) => {
    const value = complete.text(option.name);
    const isNew = value !== undefined && value !== '' && value !== before.text(option.name);
    return isNew && !option.secret ? [{ option, value }] : [];
  });
}

/** Makes a layer of flags. */
export function makeFlagLayer(values: readonly OptionValue[]): Layer {
  return new Map(values.map(({ option, value }) => [option.name, { value, origin: `--${option.name}` }]));
}

const isFlag = ({ option }: OptionValue): boolean => option.flag !== false;

/** Formats values for a shell: `--os-cloud=prod --project-name=demo`. */
export function formatFlags(values: readonly OptionValue[]): string {
  return values
    .filter(isFlag)
    .map(({ option, value }) => `--${option.name}${option.kind === 'switch' ? '' : `=${quoteForShell(value)}`}`)
    .join(' ');
}

/** Formats values for a shell: `OS_CLOUD=prod OS_PROJECT_NAME=demo`. */
export function formatVariables(values: readonly OptionValue[]): string {
  return values
    .flatMap(({ option, value }) => (option.env?.[0] === undefined ? [] : [`${option.env[0]}=${quoteForShell(value)}`]))
    .join(' ');
}

/** Converts values to JSON, as arguments and as variables, without quotes for a shell. */
export function optionValuesToJson(values: readonly OptionValue[]): OutputData {
  return {
    args: values.filter(isFlag).map(({ option, value }) => `--${option.name}=${value}`),
    env: Object.fromEntries(
      values.flatMap(({ option, value }) => (option.env?.[0] === undefined ? [] : [[option.env[0], value] as const])),
    ),
  };
}
