import { randomUUID } from 'node:crypto';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import { readTicketCache } from '../kerberos/principal.ts';
import type { AuthMethod } from './auth-method.ts';

const CONFIGURATION = '/etc/krb5.conf';

/** keystoneauth's `v3kerberos`: HTTP Negotiate (RFC 4559), checked by the web server in front of Keystone. */
export const kerberos: AuthMethod = {
  name: 'v3kerberos',
  aliases: [],
  summary: 'a Kerberos ticket, through curl',
  options: [],
  impliedBy: [],
  conflictsWith: [],
  usesMachineIdentity: true,
  listMissing: listMissingScope,
  // Tickets that may be anybody's are nobody's: a name that never comes again, under which nothing is found or kept.
  identify: (config, host) => [
    readTicketCache(host)?.principal ?? randomUUID(),
    ...listScopeFields(resolveScope(config)),
  ],
  listIdentityFiles(_, host) {
    const file = readTicketCache(host)?.file;
    return file === undefined ? undefined : [file, ...(host.env['KRB5_CONFIG'] ?? CONFIGURATION).split(':')];
  },
  async prepareRequest(config, { host }) {
    const scope = resolveScope(config);
    const principal = readTicketCache(host)?.principal;
    const who = principal ?? 'the holder of the Kerberos ticket';
    const subject = `${who} ${describeScope(scope)}`;
    return {
      ...buildTokensRequest([{ method: 'kerberos', content: {} }], scope),
      usesNegotiate: true,
      expected: { scope, principal },
      subject,
      statusExplanations: {
        401: {
          code: 'auth-rejected',
          message: `Keystone refused the Kerberos login for ${subject}: no ticket or an expired one, a realm that it does not trust, a disabled or unknown user, or no role there`,
          hint: 'run "klist", and "kinit" where it shows no ticket that still lives; check the project',
        },
      },
    };
  },
};
