import { ConfigError } from '../../shared/base/errors.ts';
import { parseCommaList } from '../../shared/options/comma-list.ts';
import type { Config } from '../../shared/options/config.ts';
import { findReservedPrefix, RESERVED_PREFIXES } from './kubernetes-name.ts';
import type { AllowedNames } from './kubernetes-name.ts';

/**
 * Reads `--allowed-colon-names`.
 *
 * @throws ConfigError for an entry that would allow every name or a reserved one
 */
export function readAllowedNames(config: Config<'allowed-colon-names'>): AllowedNames {
  const names = parseCommaList(config.text('allowed-colon-names'));
  const origin = (): string => config.origin('allowed-colon-names');
  for (const name of names) {
    if (!/^[^*:]+:[^*]*\*?$/.test(name)) {
      throw new ConfigError(`${origin()} must contain names with a colon, such as oidc:devs or oidc:*, not "${name}"`);
    }
    const prefix = findReservedPrefix(name);
    if (prefix !== undefined) {
      throw new ConfigError(`${origin()} must not contain "${name}"`, {
        hint: `names with these prefixes are reserved: ${RESERVED_PREFIXES.join(' ')}; role mappings can give some`,
      });
    }
  }
  return names;
}
