import { listUnset } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { FormFields } from '../../shared/oidc/token-request.ts';
import type { AuthMethod } from './auth-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS, makeOidcMethod, readOidcClient, readOpenidScope } from './oidc.ts';
import { password } from './password.ts';
import { totp } from './totp.ts';

/** What the provider's user has in common with Keystone's. */
const SHARED = ['user-name', 'password', 'passcode'];

/** Fields that mean something else. */
const TAKEN = ['client_id', 'client_secret', 'grant_type', 'password', 'refresh_token', 'scope', 'username'];

// Where a login is renewed, the name may be one that was asked for long ago.
const describeSubject = (config: ResolvedConfig): string => config.text('user-name') ?? 'the user';

/** @throws ConfigError where the passcode would take the place of something else */
function readPasscode(config: ResolvedConfig): FormFields {
  const field = config.text('idp-otp-key');
  if (field === undefined) return {};
  if (TAKEN.includes(field)) {
    const origin = config.origin('idp-otp-key');
    throw new ConfigError(`${origin} must not be "${field}", which means something else in that form`, {
      hint: `set ${origin} to the name of the field that the provider wants the passcode in`,
    });
  }
  return { [field]: config.secret('passcode') };
}

/** RFC 6749, 4.3: the provider gets the user's password from us. */
export const oidcPassword: AuthMethod = {
  name: 'v3oidcpassword',
  aliases: [],
  summary: 'a user and a password of an OpenID Connect provider',
  options: [
    ...FEDERATION_OPTIONS,
    ...OIDC_OPTIONS,
    ...[...password.options, ...totp.options].filter(({ name }) => SHARED.includes(name)),
    {
      name: 'idp-otp-key',
      group: 'OpenID Connect',
      env: ['OS_IDP_OTP_KEY'],
      help: 'name of the form field that the provider wants a passcode in, beside the password',
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
    identify: (config) => [config.text('user-name')],
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
