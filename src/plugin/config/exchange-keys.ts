/** Finds keys of a cloud that are meant for a token exchange, but that nothing reads. */
import { ConfigError } from '../../shared/base/errors.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';
import type { CloudEntry } from './cloud-entry.ts';

const READ_KEYS: readonly string[] = ['token_exchange_url', 'token_exchange_audience', 'token_exchange_cacert'];

/** Such as `tokenExchangeUrl`, `os_token_exchange_url`, or a `token_exchange` with keys of its own. */
const MEANT_FOR_EXCHANGE = /^(?:os_?)?token_?exchange/i;

/**
 * Refuses these keys. Without an exchange, the cluster would get the Keystone token.
 *
 * @param auth the mapping below `auth`, where no option of an exchange belongs
 * @throws ConfigError that names the key
 */
export function rejectUnreadExchangeKeys({ mapping, location }: CloudEntry, auth: YamlMapping): void {
  const isMeant = (key: string): boolean => MEANT_FOR_EXCHANGE.test(key);
  const unread = [
    ...[...mapping.keys()].filter((key) => isMeant(key) && !READ_KEYS.includes(key)),
    ...[...auth.keys()].filter(isMeant).map((key) => `auth.${key}`),
  ];
  if (unread[0] === undefined) return;
  throw new ConfigError(
    `${unread[0]} of ${location} sets no token exchange: the cluster would get the Keystone token`,
    {
      hint: `write ${READ_KEYS.slice(0, -1).join(', ')} and ${READ_KEYS.at(-1) ?? ''} next to auth`,
    },
  );
}
