import type { Setting } from '../../shared/options/layer.ts';
import { PLUGIN_OPTION_GROUPS } from '../config/option.ts';
import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { hideUserInfo } from '../kubeconfig/hide-secrets.ts';

/** A setting without its secrets. */
export interface ShownSetting {
  readonly option: string;
  readonly value: string;
  readonly origin: string;
}

/** A setting that has no effect, and the origin of the one that replaces it. */
export interface OverriddenSetting extends ShownSetting {
  readonly by: string;
}

function show({ name }: Option, { value, origin }: Setting): ShownSetting {
  return { option: name, value: hideUserInfo(String(value)), origin };
}

/** Lists the settings that take effect, in the order of `--help`. */
export function listSettings(config: ResolvedConfig, options: readonly Option[]): ShownSetting[] {
  const groupIndex = ({ group }: Option): number => PLUGIN_OPTION_GROUPS.findIndex((name) => name === group);
  return options
    .toSorted((a, b) => groupIndex(a) - groupIndex(b))
    .flatMap((option) => {
      const setting = config.setting(option.name);
      return setting === undefined ? [] : [show(option, setting)];
    });
}

/** Returns the origin of the value that takes effect: of the option itself, else of the other option of its pair. */
function findOverridingOrigin(
  config: ResolvedConfig,
  { name, pair }: Option,
  options: readonly Option[],
): string | undefined {
  const partners = pair === undefined ? [] : options.filter((option) => option.pair === pair);
  return [{ name }, ...partners].map((option) => config.setting(option.name)?.origin).find((origin) => origin);
}

/** Lists the settings that a stronger layer replaces. */
export function listOverriddenSettings(config: ResolvedConfig, options: readonly Option[]): OverriddenSetting[] {
  return options.flatMap((option) =>
    config.layers.flatMap((layer) => {
      const setting = layer.get(option.name);
      if (setting === undefined || setting === config.setting(option.name)) return [];
      const by = findOverridingOrigin(config, option, options);
      return by === undefined ? [] : [{ ...show(option, setting), by }];
    }),
  );
}
