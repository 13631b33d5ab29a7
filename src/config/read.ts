import type { FileStamp } from '../file-stamp.ts';
import type { Host } from '../host.ts';
import { readCloud } from './clouds-yaml.ts';
import { refuseUntrusted } from './current-folder.ts';
import { readEnvironment, withoutOpenStack } from './env.ts';
import type { Layer } from './layer.ts';
import type { Option } from './option.ts';
import { resolveConfig } from './resolve.ts';
import type { ResolvedConfig } from './resolve.ts';

/** A run's settings, and the files that they depend on. */
export interface ReadConfig {
  readonly config: ResolvedConfig;
  readonly files: readonly FileStamp[];
}

/**
 * Reads the settings from all that may hold them: flags, then variables, then clouds.yaml.
 *
 * @throws ConfigError
 */
export async function readConfig(host: Host, flags: Layer, options: readonly Option[]): Promise<ReadConfig> {
  const env = flags.get('no-env')?.value === 'true' ? withoutOpenStack(host.env) : host.env;
  const given = [flags, readEnvironment(env, options)];
  const { layers, files, warnings } = await readCloud(host, given, options);
  const config = resolveConfig([...given, ...layers], options);
  refuseUntrusted(config, options);
  return { config: { ...config, warnings: [...warnings, ...config.warnings] }, files };
}
