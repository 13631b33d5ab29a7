import type { Environment } from '../base/host.ts';
import { makeLayer, parseSetting } from './layer.ts';
import type { Layer } from './layer.ts';
import type { Option } from './option.ts';

/**
 * Reads the settings that variables make.
 *
 * @throws ConfigError if a variable has a value that its option does not accept
 */
export function readEnvironment<Name extends string>(env: Environment, options: readonly Option<Name>[]): Layer<Name> {
  return makeLayer(options, (option, names) => {
    const name = (names === 'usual' ? option.env : option.legacyEnv)?.find((candidate) => env[candidate]);
    return name === undefined ? undefined : parseSetting(option, env[name] ?? '', name);
  });
}
