import type { AuthMethod } from './auth-method.ts';
import { buildFederatedRequest, identifyAtKeystone, listMissingAtKeystone } from './federated-request.ts';
import {
  explainRefusedTicket,
  findTicketOwner,
  identifyTickets,
  listTicketFiles,
  MUTUAL_AUTH_OPTION,
  rejectRequiredMutualAuth,
} from './kerberos-tickets.ts';
import { FEDERATION_OPTIONS } from './oidc-options.ts';

/**
 * keystoneauth's `v3fedkerb`: the web server of Keystone checks the Kerberos ticket (RFC 4559), and a mapping of Keystone
 * decides who the user is. Only the federated request has the ticket; the request for the scope has the token.
 */
export const federatedKerberos: AuthMethod = {
  name: 'v3fedkerb',
  aliases: [],
  use: 'Kerberos',
  summary: 'a Kerberos ticket and a mapping of Keystone, through curl',
  options: [...FEDERATION_OPTIONS, MUTUAL_AUTH_OPTION],
  impliedBy: [],
  conflictsWith: [],
  usesMachineIdentity: true,
  listMissing: listMissingAtKeystone,
  identify: (config, host) => [...identifyTickets(config, host), ...identifyAtKeystone(config)],
  listIdentityFiles: (_, host) => listTicketFiles(host),
  async prepareRequest(config, { host }) {
    rejectRequiredMutualAuth(config);
    const request = buildFederatedRequest(config, { subject: findTicketOwner(host).description });
    const reasons = 'or a mapping that does not match the user';
    const refused = explainRefusedTicket(request.subject, reasons, 'OS_IDENTITY_PROVIDER and OS_PROTOCOL');
    return {
      ...request,
      // As keystoneauth sends it: there is no body to repeat after the challenge.
      verb: 'GET',
      usesNegotiate: true,
      statusExplanations: { ...request.statusExplanations, 401: refused },
    };
  },
};
