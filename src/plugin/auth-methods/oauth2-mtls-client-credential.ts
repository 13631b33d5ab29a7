import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { identifyOAuth2Client, listMissingOAuth2Client, OAUTH2_OPTIONS, prepareOAuth2Request } from './oauth2.ts';

const hasCertificate = (config: ResolvedConfig): boolean => config.has('cert');

/** Keystone API v3, "OS-OAUTH2": a user who shows a certificate (RFC 8705, section 2), for her or his default project. */
export const oauth2MtlsClientCredential: AuthMethod = {
  name: 'v3oauth2mtlsclientcredential',
  aliases: [],
  summary: 'a user with a client certificate, by OAuth 2.0',
  options: OAUTH2_OPTIONS,
  impliedBy: [],
  conflictsWith: [],
  listMissing: (config) => [...listMissingOAuth2Client(config), ...(hasCertificate(config) ? [] : (['cert'] as const))],
  // The certificate stands in every key.
  identify: identifyOAuth2Client,
  async prepareRequest(config, tools) {
    const id = config.text('oauth2-client-id') ?? '';
    return prepareOAuth2Request(config, tools, {
      subject: `user ${id} with a client certificate`,
      form: { client_id: id },
      invalidClient: {
        code: 'auth-rejected',
        message: `Keystone refused user ${id} with this client certificate: the user is unknown, has no default project, or is not whom the certificate names`,
        hint: 'check OS_OAUTH2_CLIENT_ID and OS_CERT; "openstack user set --project" sets a default project',
      },
      expected: { user: { id } },
    });
  },
};
