import { ConfigError } from '../../shared/base/errors.ts';
import { parseHeaderToken } from '../../shared/base/secret.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';

/**
 * Reads a token that a header carries.
 *
 * @param hint how to set it
 * @throws ConfigError if no header can carry it
 */
export function readHeaderToken(config: ResolvedConfig, name: OptionName, hint: string): Secret {
  const token = parseHeaderToken(config.secret(name)?.reveal());
  if (token !== undefined) return token;
  throw new ConfigError(
    `${config.origin(name)} is not a token: it contains spaces or other characters that no token has, or is too long`,
    { hint },
  );
}
