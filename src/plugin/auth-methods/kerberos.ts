import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import { readTicketCache } from '../kerberos/principal.ts';
import type { AuthMethod } from './auth-method.ts';
import {
  describeTicketOwner,
  identifyTickets,
  listTicketFiles,
  MUTUAL_AUTH_OPTION,
  rejectRequiredMutualAuth,
} from './kerberos-tickets.ts';

/** keystoneauth's `v3kerberos`: HTTP Negotiate (RFC 4559), which the web server of Keystone checks. */
export const kerberos: AuthMethod = {
  name: 'v3kerberos',
  aliases: [],
  summary: 'a Kerberos ticket, through curl',
  options: [MUTUAL_AUTH_OPTION],
  impliedBy: [],
  conflictsWith: [],
  usesMachineIdentity: true,
  listMissing: listMissingScope,
  identify: (config, host) => [...identifyTickets(config, host), ...listScopeFields(resolveScope(config))],
  listIdentityFiles: (_, host) => listTicketFiles(host),
  async prepareRequest(config, { host }) {
    rejectRequiredMutualAuth(config);
    const scope = resolveScope(config);
    const subject = `${describeTicketOwner(host)} ${describeScope(scope)}`;
    return {
      ...buildTokensRequest([{ method: 'kerberos', content: {} }], scope),
      usesNegotiate: true,
      expected: { scope, principal: readTicketCache(host)?.principal },
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
