import { makeSetting } from './layer.ts';
import type { Layer, Setting } from './layer.ts';
import type { Option } from './option.ts';

type Environment = Readonly<Record<string, string | undefined>>;

function firstSet(option: Option, names: readonly string[] | undefined, env: Environment): Setting | undefined {
  const name = names?.find((candidate) => env[candidate]);
  return name === undefined ? undefined : makeSetting(option, env[name] ?? '', name);
}

/**
 * Reads the options' variables.
 *
 * @throws ConfigError when one holds what its option does not take
 */
export function readEnvironment(env: Environment, options: readonly Option[]): Layer {
  const layer = new Map<string, Setting>();
  const pairsSet = new Set<string>();
  for (const option of options) {
    const setting = firstSet(option, option.env, env);
    if (setting === undefined) continue;
    layer.set(option.name, setting);
    if (option.pair !== undefined) pairsSet.add(option.pair);
  }
  for (const option of options) {
    if (option.pair !== undefined && pairsSet.has(option.pair)) continue;
    const setting = firstSet(option, option.legacyEnv, env);
    if (setting !== undefined) layer.set(option.name, setting);
  }
  return layer;
}
