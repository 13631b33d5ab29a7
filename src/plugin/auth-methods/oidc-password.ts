import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { FormFields } from '../../shared/oidc/token-request.ts';
import type { AuthMethod } from './auth-method.ts';
import { makeOidcMethod, readOidcClient, readOpenidScope } from './oidc-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS } from './oidc-options.ts';
import { password } from './password.ts';
import { totp } from './totp.ts';

/** Options that a user of the provider shares with a user of Keystone. */
const SHARED_OPTIONS = ['user-name', 'password', 'passcode'];

/** Form fields with another meaning. */
const RESERVED_FIELDS = ['client_id', 'client_secret', 'grant_type', 'password', 'refresh_token', 'scope', 'username'];

// A renewed login does not prompt for the name again.
const describeSubject = (config: ResolvedConfig): string => config.text('user-name') ?? 'the user';

/** @throws ConfigError when the field of the passcode has another meaning */
function readPasscode(config: ResolvedConfig): FormFields {
  const field = config.text('idp-otp-key');
  if (field === undefined) return {};
  if (RESERVED_FIELDS.includes(field)) {
    const origin = config.origin('idp-otp-key');
    throw new ConfigError(`${origin} must not be "${field}", which has another meaning in that form`, {
      hint: `set ${origin} to the name of the form field that the provider expects the passcode in`,
    });
  }
  return { [field]: config.secret('passcode') };
}

/** RFC 6749, section 4.3: the plugin sends the user's password to the provider. */
export const oidcPassword: AuthMethod = {
  name: 'v3oidcpassword',
  aliases: [],
  use: 'Password',
  summary: 'a user and a password at an OpenID Connect provider',
  options: [
    ...FEDERATION_OPTIONS,
    ...OIDC_OPTIONS,
    ...[...password.options, ...totp.options].filter(({ name }) => SHARED_OPTIONS.includes(name)),
    {
      name: 'idp-otp-key',
      cacheKey: 'identity',
      group: 'OpenID Connect',
      env: ['OS_IDP_OTP_KEY'],
      help: 'name of the form field that the provider expects a passcode in, in addition to the password',
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  ...makeOidcMethod({
    grant: 'password',
    listMissing: (config) => [
      ...listUnset(config, 'user-name', 'password'),
      ...(config.has('idp-otp-key') ? listUnset(config, 'passcode') : []),
    ],
    // A token for a password is not a token for a password and a passcode.
    identify: (config) => [config.text('user-name'), config.text('idp-otp-key')],
    describeSubject,
    fetchTokens: async (config, provider, { http }) =>
      requestOAuthTokens(http, provider, {
        client: readOidcClient(config),
        form: {
          ...readPasscode(config),
          username: config.text('user-name'),
          password: config.secret('password'),
          scope: readOpenidScope(config),
          grant_type: 'password',
        },
        subject: describeSubject(config),
        isSingleUse: config.has('idp-otp-key'),
      }),
  }),
};
