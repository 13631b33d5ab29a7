import { ConfigError } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthRequest, StatusExplanation } from '../../shared/keystone/auth-request.ts';
import { readCredentialUrl } from '../../shared/keystone/auth-url.ts';
import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod } from './auth-method.ts';
import { buildFederatedRequest, identifyAtKeystone, listMissingAtKeystone } from './federated-request.ts';
import { FEDERATION_OPTIONS } from './oidc-options.ts';
import { password } from './password.ts';

/** Options that a user of the provider shares with a user of Keystone. */
const SHARED_OPTIONS = ['user-name', 'password'];

const PROVIDER_URL_OPTION: Option = {
  name: 'identity-provider-url',
  cacheKey: 'trust',
  group: 'Federation',
  env: ['OS_IDENTITY_PROVIDER_URL'],
  help: 'URL of the SAML identity provider that takes the password (ECP, SOAP binding)',
  prompt: 'URL of the identity provider',
  trustSensitive: true,
};

/** @throws ConfigError if it is not a URL, or would send the password unencrypted to another machine */
function readProviderUrl(config: ResolvedConfig): URL | undefined {
  const example = 'https://idp.example.com/idp/profile/SAML2/SOAP/ECP';
  const url = readCredentialUrl(config, 'identity-provider-url', example);
  if (url !== undefined) url.hash = '';
  return url;
}

/** @throws ConfigError for a name that HTTP Basic cannot carry (RFC 7617, section 2) */
function readUser(config: ResolvedConfig): string {
  const user = config.text('user-name') ?? '';
  if (!user.includes(':')) return user;
  throw new ConfigError(`${config.origin('user-name')} contains a colon, which a user name at a provider cannot have`, {
    hint: 'write the name without the domain, as the provider knows it',
  });
}

/** Makes the request of a session, which has no form to repeat. */
function makeRequest(config: ResolvedConfig, user: string): AuthRequest {
  const request = buildFederatedRequest(config, { subject: user });
  const refused: StatusExplanation = {
    code: 'auth-rejected',
    message:
      `Keystone refused the SAML login for ${request.subject}: its mapping does not match the user, ` +
      'or it does not know the provider',
    hint: 'check OS_IDENTITY_PROVIDER and OS_PROTOCOL, or ask the Keystone operator about the mapping',
  };
  const asksAgain: StatusExplanation = {
    code: 'auth-rejected',
    message: `Keystone accepted the answer of the identity provider for ${request.subject}, but opened no session`,
    hint: 'ask its operator; the log of its web server has the reason',
  };
  const statusExplanations = { ...request.statusExplanations, 200: asksAgain, 401: refused };
  return { ...request, verb: 'GET', statusExplanations };
}

/** keystoneauth's `v3samlpassword`: the plugin sends the user's password to a SAML identity provider. */
export const samlPassword: AuthMethod = {
  name: 'v3samlpassword',
  aliases: [],
  use: 'Password',
  summary: 'a user and a password at a SAML identity provider with ECP',
  options: [
    ...FEDERATION_OPTIONS,
    PROVIDER_URL_OPTION,
    ...password.options.filter(({ name }) => SHARED_OPTIONS.includes(name)),
  ],
  impliedBy: [],
  conflictsWith: [],
  describePromptTarget(config) {
    const url = readProviderUrl(config);
    return url === undefined ? '' : `at ${url.origin}`;
  },
  listMissing: (config) => [
    ...listMissingAtKeystone(config),
    ...listUnset(config, 'identity-provider-url', 'user-name', 'password'),
  ],
  identify: (config) => [...identifyAtKeystone(config), readProviderUrl(config)?.href, config.text('user-name')],
  async prepareRequest(config, tools) {
    const user = readUser(config);
    const request = makeRequest(config, user);
    // Few runs need it and its parser.
    const { logInWithEcp } = await import('../saml/ecp.ts');
    const headers = await logInWithEcp(
      tools.http,
      { endpoint: await tools.findV3Endpoint(), request },
      {
        url: readProviderUrl(config)?.href ?? '',
        peer: { name: 'the identity provider', setting: config.origin('identity-provider-url') },
        user,
        password: config.secret('password') ?? new Secret(''),
      },
    );
    return { ...request, headers };
  },
};
