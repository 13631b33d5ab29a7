import type { Setting } from '../../shared/options/layer.ts';
import { PLUGIN_OPTION_GROUPS } from '../../shared/options/option.ts';
import type { Option } from '../../shared/options/option.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';

/** One setting as it may be shown. */
export interface ShownSetting {
  readonly option: string;
  readonly value: string;
  readonly origin: string;
}

/** A setting that does not count, and what counts instead. */
export interface OverriddenSetting extends ShownSetting {
  readonly by: string;
}

/** Whoever puts a password into a URL shall not read it here. */
const USER_INFO = /(\/\/)[^/@\s]*@/g;

function show({ name }: Option, { value, origin }: Setting): ShownSetting {
  return { option: name, value: String(value).replaceAll(USER_INFO, '$1[redacted]@'), origin };
}

/** The settings that count, in the order of `--help`. */
export function listSettings(config: ResolvedConfig, options: readonly Option[]): ShownSetting[] {
  const place = ({ group }: Option): number => PLUGIN_OPTION_GROUPS.findIndex((one) => one === group);
  const inOrder = options.toSorted((one, other) => place(one) - place(other));
  return inOrder.flatMap((option) => {
    const setting = config.setting(option.name);
    return setting === undefined ? [] : [show(option, setting)];
  });
}

/** Where what counts instead came from: of the option itself, else of the other name of the same thing. */
function findWinner(config: ResolvedConfig, { name, pair }: Option, options: readonly Option[]): string | undefined {
  const partners = pair === undefined ? [] : options.filter((option) => option.pair === pair);
  return [{ name }, ...partners].map((option) => config.setting(option.name)?.origin).find((origin) => origin);
}

/** The settings of weaker layers that something stronger has replaced. */
export function listOverriddenSettings(config: ResolvedConfig, options: readonly Option[]): OverriddenSetting[] {
  return options.flatMap((option) =>
    config.layers.flatMap((layer) => {
      const setting = layer.get(option.name);
      if (setting === undefined || setting === config.setting(option.name)) return [];
      const by = findWinner(config, option, options);
      return by === undefined ? [] : [{ ...show(option, setting), by }];
    }),
  );
}
