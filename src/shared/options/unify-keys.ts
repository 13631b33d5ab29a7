import { ConfigError } from '../base/errors.ts';
import type { YamlMapping } from './yaml.ts';

/**
 * Replaces dashes by underscores in the keys of a mapping. Not in `yaml.ts`, because that loads the YAML parser.
 *
 * @throws ConfigError if two keys become the same
 */
export function unifyKeys(mapping: YamlMapping, where: string): YamlMapping {
  const unified = new Map([...mapping].map(([key, value]) => [key.replaceAll('-', '_'), value]));
  if (unified.size === mapping.size) return unified;
  throw new ConfigError(`${where} sets one key twice, with a dash and with an underscore`, {
    hint: 'remove one of the two keys from the file',
  });
}
