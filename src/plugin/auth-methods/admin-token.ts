import { listUnset } from '../config/resolve-config.ts';
import { readKeystoneUrl } from '../../shared/keystone/auth-url.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { listScopeFields } from '../../shared/keystone/scope.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod } from './auth-method.ts';
import { token } from './token.ts';

/** keystoneauth's `admin_token`: a token to be used as it is; Keystone is only asked what it is good for. */
export const adminToken: AuthMethod = {
  name: 'admin_token',
  aliases: ['token_endpoint'],
  summary: 'a Keystone token to use as it is',
  options: [
    {
      name: 'endpoint',
      aliases: ['url'],
      group: 'Token',
      env: ['OS_ENDPOINT', 'OS_URL'],
      help: 'URL of the Keystone that knows the token, where it is not that of --keystone-url (admin_token)',
      trustSensitive: true,
    },
    ...token.options,
  ],
  impliedBy: [],
  conflictsWith: [],
  // Whoever wants a provider's own token is not served by this one.
  worksWithoutKeystoneUrl: (config) => config.has('endpoint') && !config.has('token-kind'),
  listMissing: (config) => [...listMissingScope(config), ...listUnset(config, 'token')],
  identify: (config) => [
    readKeystoneUrl(config, 'endpoint'),
    config.secret('token')?.reveal(),
    ...listScopeFields(resolveScope(config)),
  ],
  async prepareRequest(config) {
    const id = config.secret('token') ?? new Secret('');
    const origin = config.origin('token');
    const url = readKeystoneUrl(config, 'endpoint');
    const dead = {
      code: 'auth-rejected',
      message: `Keystone does not know the token in ${origin}: it is expired, revoked or mistyped`,
      hint: `get a new one ("openstack token issue") or unset ${origin}`,
    } as const;
    return {
      verb: 'GET',
      path: 'auth/tokens?nocatalog=true',
      headers: { 'x-auth-token': id, 'x-subject-token': id },
      existingToken: id,
      ...(url === undefined
        ? {}
        : { otherKeystone: { url, peer: { name: 'Keystone', setting: config.origin('endpoint') } } }),
      expected: { scope: resolveScope(config) },
      mismatchHint: 'this token is used as it is: unset the project, domain or system, or use OS_AUTH_TYPE=token',
      subject: `the token in ${origin}`,
      statusExplanations: { 401: dead, 404: dead },
    };
  },
};
