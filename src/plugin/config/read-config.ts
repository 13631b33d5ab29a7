import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Environment, Host } from '../../shared/base/host.ts';
import { listCloudNames, readCloudSettings } from './clouds-yaml.ts';
import type { GivenLayers } from './clouds-yaml.ts';
import { rejectUntrustedSettings } from './untrusted-settings.ts';
import { rejectUnreadExchangeVariables } from './exchange-keys.ts';
import { readEnvironment } from '../../shared/options/environment.ts';
import type { Layer, Option } from './option.ts';
import { resolveConfig } from './resolve-config.ts';
import type { ResolvedConfig } from './resolve-config.ts';

/** The settings of a run, and the files that they depend on. */
export interface RunConfig {
  readonly config: ResolvedConfig;
  /** The name of the cloud of clouds.yaml that is used; undefined when there is none. */
  readonly cloud: string | undefined;
  readonly files: readonly FileStamp[];
}

/** Removes the variables of OpenStack from the environment, as if no openrc had been sourced. */
function omitOpenStackVariables(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OS_')));
}

function readFlagsAndEnv(host: Host, flags: Layer, options: readonly Option[]): GivenLayers {
  const env = flags.get('no-env')?.value === 'true' ? omitOpenStackVariables(host.env) : host.env;
  rejectUnreadExchangeVariables(env, options);
  return { flags, variables: readEnvironment(env, options) };
}

/**
 * Lists the names of the clouds in clouds.yaml.
 *
 * @throws ConfigError when a file cannot be read or parsed
 */
export async function readCloudNames(host: Host, flags: Layer, options: readonly Option[]): Promise<readonly string[]> {
  return listCloudNames(host, readFlagsAndEnv(host, flags, options));
}

/**
 * Reads the settings from flags, variables and clouds.yaml, in this order of precedence.
 *
 * @throws ConfigError when a file or a setting is invalid, or when a file must not decide where a secret goes
 */
export async function readConfig(host: Host, flags: Layer, options: readonly Option[]): Promise<RunConfig> {
  const given = readFlagsAndEnv(host, flags, options);
  const { cloud, layers, files, warnings } = await readCloudSettings(host, given, options);
  const config = resolveConfig([given.flags, given.variables, ...layers], options);
  rejectUntrustedSettings(config, options);
  return { config: { ...config, warnings: [...warnings, ...config.warnings] }, cloud, files };
}
