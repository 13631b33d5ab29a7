import { readLoginTimeoutMs } from '../config/login-timeout.ts';
import { DEVICE_GRANT, logInWithDevice } from '../../shared/oidc/device-authorization.ts';
import type { DeviceInstructions } from '../../shared/oidc/device-authorization.ts';
import { redactAndTruncate } from '../../shared/base/text.ts';
import type { AuthMethod } from './auth-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS, makeOidcMethod, readOidcClient, readOpenidScope } from './oidc.ts';

const SUBJECT = 'the user in the browser';

function describeInvitation({ url, hasCodeInUrl, userCode }: DeviceInstructions): string {
  const code = redactAndTruncate(userCode);
  return hasCodeInUrl
    ? `to log in, open ${url} and check that it shows the code ${code}`
    : `to log in, open ${url} and enter the code ${code}`;
}

/** RFC 8628: a browser on any device, for machines that have none. */
export const oidcDeviceAuthz: AuthMethod = {
  name: 'v3oidcdeviceauthz',
  aliases: [],
  summary: 'a browser on another device, with an OpenID Connect provider',
  options: [
    ...FEDERATION_OPTIONS,
    ...OIDC_OPTIONS,
    {
      name: 'device-authorization-endpoint',
      group: 'OpenID Connect',
      env: ['OS_DEVICE_AUTHORIZATION_ENDPOINT'],
      help: "URL of the provider's device authorization endpoint, instead of the discovery document's",
      trustSensitive: true,
    },
    {
      name: 'code-challenge-method',
      group: 'OpenID Connect',
      env: ['OS_CODE_CHALLENGE_METHOD'],
      choices: ['S256'],
      help: 'S256 binds the code that another device shows to this run (PKCE), for providers that want that',
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: true,
  ...makeOidcMethod({
    grant: DEVICE_GRANT,
    usesBrowser: true,
    endpoints: ['device_authorization', 'token'],
    listMissing: () => [],
    identify: () => [],
    describeSubject: () => SUBJECT,
    async fetchTokens(config, provider, { http, user }) {
      // No code is asked for that nobody would see.
      user.requirePresence();
      return logInWithDevice(http, provider, {
        client: readOidcClient(config),
        scope: readOpenidScope(config),
        usesPkce: config.has('code-challenge-method'),
        subject: SUBJECT,
        loginTimeoutMs: readLoginTimeoutMs(config),
        showInstructions: (invitation) => {
          user.notify(describeInvitation(invitation));
        },
      });
    },
  }),
};
