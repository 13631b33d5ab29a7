import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { readReference } from '../config/option-readers.ts';
import { listUnset } from '../config/resolve-config.ts';
import { describeReference } from '../../shared/keystone/scope.ts';
import { toUserJson } from '../../shared/keystone/auth-request.ts';
import type { JsonWithSecrets } from '../../shared/keystone/auth-request.ts';
import type { ExpectedToken } from '../../shared/keystone/verify-token.ts';

/** The options that identify the user, for every method with a user. */
export const USER_OPTIONS: readonly Option[] = [
  {
    name: 'user-id',
    cacheKey: 'identity',
    group: 'User',
    pair: 'user',
    env: ['OS_USER_ID', 'OS_USERID'],
    help: 'user, by ID',
  },
  {
    name: 'user-name',
    cacheKey: 'identity',
    aliases: ['username'],
    group: 'User',
    pair: 'user',
    env: ['OS_USERNAME', 'OS_USER_NAME'],
    help: 'user, by name',
    prompt: 'User name',
  },
  {
    name: 'user-domain-id',
    cacheKey: 'identity',
    group: 'User',
    pair: 'user-domain',
    env: ['OS_USER_DOMAIN_ID'],
    help: 'domain of the user, by ID',
  },
  {
    name: 'user-domain-name',
    cacheKey: 'identity',
    group: 'User',
    pair: 'user-domain',
    env: ['OS_USER_DOMAIN_NAME'],
    help: 'domain of the user, by name',
    prompt: 'Domain of the user',
    suggestion: 'Default',
  },
];

/** Lists the missing options of the user; a user ID needs no domain. */
export function listMissingUser(config: ResolvedConfig): OptionName[] {
  if (config.has('user-id')) return [];
  const domain = config.has('user-domain-id') ? [] : listUnset(config, 'user-domain-name');
  return [...listUnset(config, 'user-name'), ...domain];
}

/** Lists the user as fields of a cache key. */
export function identifyUser(config: ResolvedConfig): (string | undefined)[] {
  const id = config.text('user-id');
  if (id !== undefined) return ['user ID', id];
  return [
    'user name',
    config.text('user-name'),
    config.text('user-domain-id'),
    config.has('user-domain-id') ? undefined : config.text('user-domain-name'),
  ];
}

/** Reads the user as the Keystone API expects it; the plugin prompts for missing parts first. */
export function readUser(config: ResolvedConfig): Readonly<Record<string, JsonWithSecrets>> {
  return toUserJson(readReference(config, 'user') ?? { name: '' }, readReference(config, 'user-domain'));
}

/** Reads the user that the token must belong to. */
export function readExpectedUser(config: ResolvedConfig): ExpectedToken {
  return { user: readReference(config, 'user'), userDomain: readReference(config, 'user-domain') };
}

/** Describes the user for messages: "alice (domain Default)". */
export function describeUser(config: ResolvedConfig): string {
  const user = readReference(config, 'user') ?? { name: '' };
  const domain = readReference(config, 'user-domain');
  return 'id' in user || domain === undefined
    ? describeReference(user)
    : `${user.name} (domain ${describeReference(domain)})`;
}
