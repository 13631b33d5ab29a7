import { randomUUID } from 'node:crypto';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import { readTicketCache } from '../kerberos/principal.ts';
import { makeKerberosEnvironment } from '../programs/environment.ts';
import type { AuthMethod } from './auth-method.ts';

const DEFAULT_CONFIG_FILE = '/etc/krb5.conf';

/** keystoneauth's `v3kerberos`: HTTP Negotiate (RFC 4559), which the web server of Keystone checks. */
export const kerberos: AuthMethod = {
  name: 'v3kerberos',
  aliases: [],
  summary: 'a Kerberos ticket, through curl',
  options: [],
  impliedBy: [],
  conflictsWith: [],
  usesMachineIdentity: true,
  listMissing: listMissingScope,
  // Without a certain principal, a random name makes sure that no cached token is used.
  identify: (config, host) => [
    readTicketCache(host)?.principal ?? randomUUID(),
    ...listScopeFields(resolveScope(config)),
  ],
  listIdentityFiles(_, host) {
    const file = readTicketCache(host)?.file;
    return file === undefined
      ? undefined
      : [file, ...(makeKerberosEnvironment(host)['KRB5_CONFIG'] ?? DEFAULT_CONFIG_FILE).split(':')];
  },
  async prepareRequest(config, { host }) {
    const scope = resolveScope(config);
    const principal = readTicketCache(host)?.principal;
    const subject = `${principal ?? 'the holder of the Kerberos ticket'} ${describeScope(scope)}`;
    return {
      ...buildTokensRequest([{ method: 'kerberos', content: {} }], scope),
      usesNegotiate: true,
      expected: { scope, principal },
      subject,
      statusExplanations: {
        401: {
          code: 'auth-rejected',
          message:
            `Keystone refused the Kerberos login for ${subject}: a missing or expired ticket, ` +
            'a realm that Keystone does not trust, a disabled or unknown user, or no role in the scope',
          hint: 'run "klist"; if it shows no valid ticket, run "kinit"; check the project',
        },
      },
    };
  },
};
