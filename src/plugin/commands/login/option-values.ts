/** How what was chosen is said again, so that the next run asks nothing. */
import type { Layer } from '../../config/option.ts';
import type { Option } from '../../config/option.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';
import type { OutputData } from '../command.ts';
import { quoteForShell } from '../quote-for-shell.ts';

/** One setting to make. */
export interface OptionValue {
  readonly option: Option;
  readonly value: string;
}

/** What a layer says that is no secret. */
export function listOptionValues(layer: Layer): readonly OptionValue[] {
  return OPTIONS.flatMap((option) => {
    const value = layer.get(option.name)?.value;
    return typeof value === 'string' ? [{ option, value }] : [];
  });
}

/** What `complete` says beyond `given`; a secret is nobody's business. */
export function listAddedOptionValues(given: ResolvedConfig, complete: ResolvedConfig): readonly OptionValue[] {
  return OPTIONS.flatMap((option) => {
    const value = complete.text(option.name);
    const isNew = value !== undefined && value !== '' && value !== given.text(option.name);
    return isNew && !option.secret ? [{ option, value }] : [];
  });
}

/** Settings as a layer of flags. */
export function makeFlagLayer(chosen: readonly OptionValue[]): Layer {
  return new Map(chosen.map(({ option, value }) => [option.name, { value, origin: `--${option.name}` }]));
}

const isFlag = ({ option }: OptionValue): boolean => option.flag !== false;

/** `--os-cloud=prod --project-name=demo`, as a shell reads it. */
export function formatFlags(chosen: readonly OptionValue[]): string {
  return chosen
    .filter(isFlag)
    .map(({ option, value }) => `--${option.name}${option.kind === 'switch' ? '' : `=${quoteForShell(value)}`}`)
    .join(' ');
}

/** `OS_CLOUD=prod OS_PROJECT_NAME=demo`, as a shell reads it. */
export function formatVariables(chosen: readonly OptionValue[]): string {
  return chosen
    .flatMap(({ option, value }) => (option.env?.[0] === undefined ? [] : [`${option.env[0]}=${quoteForShell(value)}`]))
    .join(' ');
}

/** The same for programs: arguments and variables as they are. */
export function optionValuesToJson(chosen: readonly OptionValue[]): OutputData {
  return {
    args: chosen.filter(isFlag).map(({ option, value }) => `--${option.name}=${value}`),
    env: Object.fromEntries(
      chosen.flatMap(({ option, value }) => (option.env?.[0] === undefined ? [] : [[option.env[0], value] as const])),
    ),
  };
}
