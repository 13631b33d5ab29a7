import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { identifyOAuth2Client, listMissingOAuth2Client, OAUTH2_OPTIONS, prepareOAuth2Request } from './oauth2.ts';

/** Keystone API v3, "OS-OAUTH2": a user with a client certificate (RFC 8705, section 2), for the default project. */
export const oauth2MtlsClientCredential: AuthMethod = {
  name: 'v3oauth2mtlsclientcredential',
  aliases: [],
  use: 'Program',
  summary: 'a user with a client certificate, by OAuth 2.0',
  options: OAUTH2_OPTIONS,
  impliedBy: [],
  conflictsWith: [],
  listMissing: (config) => [...listMissingOAuth2Client(config), ...listUnset(config, 'cert')],
  // Every cache key contains the certificate.
  identify: identifyOAuth2Client,
  async prepareRequest(config, tools) {
    const id = config.text('oauth2-client-id') ?? '';
    return prepareOAuth2Request(config, tools, {
      subject: `user ${id} with a client certificate`,
      form: { client_id: id },
      invalidClient: {
        code: 'auth-rejected',
        message:
          `Keystone refused user ${id} with this client certificate: the user is unknown, ` +
          'has no default project, or is not the one that the certificate names',
        hint: 'check OS_OAUTH2_CLIENT_ID and OS_CERT; "openstack user set --project" sets a default project',
      },
      expected: { user: { id } },
    });
  },
};
