import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, listScopeFields } from '../../shared/keystone/scope.ts';
import { buildTokensRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthMethod } from './auth-method.ts';
import {
  explainRefusedTicket,
  findTicketOwner,
  identifyTickets,
  listTicketFiles,
  MUTUAL_AUTH_OPTION,
  rejectRequiredMutualAuth,
} from './kerberos-tickets.ts';

/** keystoneauth's `v3kerberos`: HTTP Negotiate (RFC 4559), which the web server of Keystone checks. */
export const kerberos: AuthMethod = {
  name: 'v3kerberos',
  aliases: [],
  use: 'Kerberos',
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
    const { principal, description } = findTicketOwner(host);
    const subject = `${description} ${describeScope(scope)}`;
    return {
      ...buildTokensRequest([{ method: 'kerberos', content: {} }], scope),
      usesNegotiate: true,
      expected: { scope, principal },
      subject,
      statusExplanations: {
        401: explainRefusedTicket(subject, 'a disabled or unknown user, or no role in the scope', 'the project'),
      },
    };
  },
};
