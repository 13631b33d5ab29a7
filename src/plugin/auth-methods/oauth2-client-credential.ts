import { Secret } from '../../shared/base/secret.ts';
import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { identifyOAuth2Client, listMissingOAuth2Client, OAUTH2_OPTIONS, prepareOAuth2Request } from './oauth2.ts';

/** Keystone API v3, "OS-OAUTH2": an application credential as an OAuth 2.0 client (RFC 6749, section 4.4). */
export const oauth2ClientCredential: AuthMethod = {
  name: 'v3oauth2clientcredential',
  aliases: [],
  use: 'Program',
  summary: 'an application credential as an OAuth 2.0 client',
  options: [
    ...OAUTH2_OPTIONS,
    {
      name: 'oauth2-client-secret',
      cacheKey: 'proof',
      group: 'OAuth 2.0 at Keystone',
      flag: false,
      env: ['OS_OAUTH2_CLIENT_SECRET'],
      help: 'secret of the application credential',
      secret: true,
      prompt: 'OAuth 2.0 client secret',
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  listMissing: (config) => [...listMissingOAuth2Client(config), ...listUnset(config, 'oauth2-client-secret')],
  identify: identifyOAuth2Client,
  async prepareRequest(config, tools) {
    const id = config.text('oauth2-client-id') ?? '';
    // Not encoded as RFC 6749, section 2.3.1 requires, because Keystone does not decode ID and secret.
    const pair = `${id}:${config.secret('oauth2-client-secret')?.reveal() ?? ''}`;
    return prepareOAuth2Request(config, tools, {
      subject: `OAuth 2.0 client ${id}`,
      form: {},
      headers: { authorization: new Secret(`Basic ${Buffer.from(pair).toString('base64')}`) },
      invalidClient: {
        code: 'auth-rejected',
        message:
          `Keystone refused OAuth 2.0 client ${id}: the application credential does not exist, ` +
          'its secret is wrong, it has expired, or its user is disabled',
        hint: 'check OS_OAUTH2_CLIENT_ID and OS_OAUTH2_CLIENT_SECRET',
      },
      expected: { applicationCredential: { id } },
    });
  },
};
