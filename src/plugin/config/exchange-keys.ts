/**
 * Finds what is meant for a token exchange, but that nothing reads. Without an exchange, the cluster gets the Keystone
 * token.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Environment } from '../../shared/base/host.ts';
import { findSimilarName, isSimilarName } from '../../shared/base/similar-name.ts';
import type { YamlMapping } from '../../shared/options/yaml.ts';
import type { Option } from './option.ts';

const READ_KEYS: readonly string[] = ['token_exchange_url', 'token_exchange_audience', 'token_exchange_cacert'];

const KEY_HINT = `write ${READ_KEYS.slice(0, -1).join(', ')} and ${READ_KEYS.at(-1) ?? ''} next to auth`;

/** The last words of the names: an exchange of messages or currencies has none of them. */
const SETTINGS = ['url', 'audience', 'cacert'];

/** Splits `tokenExchangeUrl`, `os_token_exchange_url` and `OS-TOKEN-EXCHANGE-URL` into their words. */
const splitIntoWords = (name: string): string[] =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');

const isLike = (word: string, meant: string): boolean => word.toLowerCase() === meant || isSimilarName(word, meant);

/** Whether a name is probably a misspelled name of an exchange: `exchnage_token_url`, or `exchange` with keys of its own. */
function isMeantForExchange(name: string): boolean {
  if (/token_?exchange/i.test(name)) return true;
  const words = splitIntoWords(name);
  if (words.some((word) => isSimilarName(word, 'tokenexchange'))) return true;
  const exchange = words.findIndex((word) => isLike(word, 'exchange'));
  if (exchange === -1) return false;
  const others = words.toSpliced(exchange, 1);
  return others.length === 0 || others.some((word) => ['token', ...SETTINGS].some((meant) => isLike(word, meant)));
}

/** Finds the first key that is meant for an exchange, but is none of those that are read here. */
function findUnreadKey(mapping: YamlMapping, readKeys: readonly string[]): string | undefined {
  return [...mapping.keys()].find((key) => !readKeys.includes(key) && isMeantForExchange(key));
}

function rejectKey(key: string | undefined, location: string): void {
  if (key === undefined) return;
  throw new ConfigError(`${key} of ${location} sets no token exchange: the cluster would get the Keystone token`, {
    hint: KEY_HINT,
  });
}

/**
 * Refuses these keys in a cloud, or in its values for a region.
 *
 * @param auth the mapping below `auth`, where no option of an exchange belongs
 * @throws ConfigError that names the key
 */
export function rejectUnreadExchangeKeys(mapping: YamlMapping, auth: YamlMapping, location: string): void {
  rejectKey(findUnreadKey(mapping, READ_KEYS), location);
  const key = findUnreadKey(auth, []);
  rejectKey(key === undefined ? undefined : `auth.${key}`, location);
}

/**
 * Refuses all keys of an exchange where none of them is read: next to the list of clouds, or next to the values of a
 * region.
 *
 * @throws ConfigError that names the key
 */
export function rejectAllExchangeKeys(mapping: YamlMapping, location: string): void {
  rejectKey(findUnreadKey(mapping, []), location);
}

/** The variables of other programs can have any name. */
const OPENSTACK_VARIABLE = /^(?:os|client_keystone_auth)_/i;

/**
 * Refuses variables that are misspelled: `OS_TOKEN_EXCHNAGE_URL`. The fast path notices them by their names.
 *
 * @throws ConfigError that names the variable
 */
export function rejectUnreadExchangeVariables(env: Environment, options: readonly Option[]): void {
  const known = options.flatMap(({ env: names = [], legacyEnv = [] }) => [...names, ...legacyEnv]);
  for (const [name, value = ''] of Object.entries(env)) {
    if (value.trim() === '' || known.includes(name) || !OPENSTACK_VARIABLE.test(name)) continue;
    if (!isMeantForExchange(name)) continue;
    const ours = known.filter((variable) => isMeantForExchange(variable));
    const meant = findSimilarName(name, ours);
    throw new ConfigError(`${name} sets no token exchange: the cluster would get the Keystone token`, {
      hint: meant === undefined ? `set ${ours.join(', ')}, or unset ${name}` : `did you mean ${meant}?`,
    });
  }
}
