/** Reads values of parsed YAML. An error names the key of a wrong value, never the value. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { YamlMapping, YamlValue } from '../../shared/options/yaml.ts';

/**
 * Returns the mapping under `key`; an empty mapping if the key is missing.
 *
 * @param where the mapping that contains the key, as text for messages
 * @throws ConfigError when the value is not a mapping
 */
export function mappingAt(mapping: YamlMapping, key: string, where: string): YamlMapping {
  const value = mapping.get(key) ?? new Map<string, YamlValue>();
  if (value instanceof Map) return value;
  throw new ConfigError(`${key} of ${where} must be a mapping of names to values`, {
    hint: 'correct the file: write indented "NAME: VALUE" lines below the key',
  });
}

/**
 * Returns a value as text; the empty string for null.
 *
 * @param origin the key of the value, as text for messages
 * @param options.asList whether the value may also be a list, which becomes its items with commas between them
 * @throws ConfigError when the value is not text
 */
export function textFrom(value: YamlValue, origin: string, { asList = false } = {}): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (asList && Array.isArray(value)) return value.map((item: YamlValue) => textFrom(item, origin)).join(',');
  throw new ConfigError(`${origin} must be text`, { hint: 'correct the file: write one value after the key' });
}
