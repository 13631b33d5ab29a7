import type { FileStamp } from '../../shared/base/file-stamp.ts';
import type { Environment, Host } from '../../shared/base/host.ts';
import { listCloudNames, readCloudSettings } from './clouds-yaml.ts';
import { rejectUntrustedSettings } from './untrusted-settings.ts';
import { readEnvironment } from '../../shared/options/environment.ts';
import type { Layer } from './option.ts';
import type { Option } from './option.ts';
import { resolveConfig } from './resolve-config.ts';
import type { ResolvedConfig } from './resolve-config.ts';

/** A run's settings, and the files that they depend on. */
export interface RunConfig {
  readonly config: ResolvedConfig;
  readonly files: readonly FileStamp[];
}

/** The environment without OpenStack's variables: as if no openrc had been sourced. */
function omitOpenStackVariables(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OS_')));
}

function readGiven(host: Host, flags: Layer, options: readonly Option[]): readonly Layer[] {
  const env = flags.get('no-env')?.value === 'true' ? omitOpenStackVariables(host.env) : host.env;
  return [flags, readEnvironment(env, options)];
}

/**
 * Names of the clouds of clouds.yaml.
 *
 * @throws ConfigError
 */
export async function readCloudNames(host: Host, flags: Layer, options: readonly Option[]): Promise<readonly string[]> {
  return listCloudNames(host, readGiven(host, flags, options));
}

/**
 * Reads the settings from all that may hold them: flags, then variables, then clouds.yaml.
 *
 * @throws ConfigError
 */
export async function readConfig(host: Host, flags: Layer, options: readonly Option[]): Promise<RunConfig> {
  const given = readGiven(host, flags, options);
  const { layers, files, warnings } = await readCloudSettings(host, given, options);
  const config = resolveConfig([...given, ...layers], options);
  rejectUntrustedSettings(config, options);
  return { config: { ...config, warnings: [...warnings, ...config.warnings] }, files };
}
