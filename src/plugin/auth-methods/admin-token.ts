import { readKeystoneUrl } from '../../shared/keystone/auth-url.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { listScopeFields } from '../../shared/keystone/scope.ts';
import type { AuthMethod } from './auth-method.ts';
import { buildValidationRequest } from './existing-token.ts';
import { readToken, token } from './token.ts';

/** keystoneauth's `admin_token`: a token that is used unchanged; Keystone only validates it. */
export const adminToken: AuthMethod = {
  name: 'admin_token',
  aliases: ['token_endpoint'],
  use: 'Token',
  summary: 'a Keystone token to use unchanged',
  options: [
    {
      name: 'endpoint',
      cacheKey: 'trust',
      aliases: ['url'],
      group: 'Token',
      env: ['OS_ENDPOINT', 'OS_URL'],
      help: 'URL of the Keystone that issued the token, if it is not --keystone-url (admin_token)',
      trustSensitive: true,
    },
    ...token.options,
  ],
  impliedBy: [],
  conflictsWith: [],
  worksWithoutKeystoneUrl: (config) => config.has('endpoint'),
  listMissing: (config) => [...listMissingScope(config), ...listUnset(config, 'token')],
  identify: (config) => [
    readKeystoneUrl(config, 'endpoint'),
    config.secret('token')?.reveal(),
    ...listScopeFields(resolveScope(config)),
  ],
  async prepareRequest(config) {
    const id = readToken(config);
    const origin = config.origin('token');
    const url = readKeystoneUrl(config, 'endpoint');
    const rejection = {
      code: 'auth-rejected',
      message: `Keystone does not accept the token in ${origin}: it is expired, revoked or mistyped`,
      hint: `get a new one ("openstack token issue") or unset ${origin}`,
    } as const;
    return {
      ...buildValidationRequest(id),
      ...(url === undefined
        ? {}
        : { otherKeystone: { url, peer: { name: 'Keystone', setting: config.origin('endpoint') } } }),
      expected: { scope: resolveScope(config) },
      mismatchHint:
        'this method uses the token unchanged: unset the project, domain or system, or use OS_AUTH_TYPE=token',
      subject: `the token in ${origin}`,
      statusExplanations: { 401: rejection, 404: rejection },
    };
  },
};
