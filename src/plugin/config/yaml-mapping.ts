/** Looking into parsed YAML. What is wrong is named by its key, never by its value. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';

const hint = 'correct the file; the README shows what it holds';

/**
 * The mapping under `key`; an empty one where there is none.
 *
 * @param where the mapping that holds the key, in the words of a message
 * @throws ConfigError when it is anything else
 */
export function mappingAt(mapping: YamlMapping, key: string, where: string): YamlMapping {
  const value = mapping.get(key) ?? new Map<string, YamlValue>();
  if (value instanceof Map) return value;
  throw new ConfigError(`${key} of ${where} must be a mapping of names to values`, { hint });
}

/**
 * A value as text; the empty string for null.
 *
 * @param origin the value's key, in the words of a message
 * @param asList whether a list is taken too; its items come with commas between them
 * @throws ConfigError when it is no text
 */
export function textFrom(value: YamlValue, origin: string, asList = false): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (asList && Array.isArray(value)) return value.map((item: YamlValue) => textFrom(item, origin)).join(',');
  throw new ConfigError(`${origin} must be text`, { hint });
}
