import { ConfigError } from '../../shared/base/errors.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';

/**
 * Reads an option as a segment of a path. URLs have no way to write the names of the folder itself and of the one above:
 * the request would go to another path.
 *
 * @throws ConfigError if it is one of these
 */
export function readPathSegment(config: ResolvedConfig, name: OptionName): string {
  const text = config.text(name) ?? '';
  if (text !== '.' && text !== '..') return encodeURIComponent(text);
  throw new ConfigError(`${config.origin(name)} must not be "${text}"`, {
    hint: `set ${config.origin(name)} to its name or ID in Keystone`,
  });
}
