import { readLoginTimeoutMs } from '../config/option-readers.ts';
import { DEVICE_GRANT, logInWithDevice } from '../../shared/oidc/device-authorization.ts';
import type { DeviceInstructions } from '../../shared/oidc/device-authorization.ts';
import { redactAndTruncate } from '../../shared/base/text.ts';
import type { AuthMethod } from './auth-method.ts';
import { makeOidcMethod, readOidcClient, readOpenidScope } from './oidc-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS } from './oidc-options.ts';

const SUBJECT = 'the user in the browser';

function describeInstructions({ url, hasCodeInUrl, userCode }: DeviceInstructions): string {
  const code = redactAndTruncate(userCode);
  return hasCodeInUrl
    ? `to log in, open ${url} and check that it shows the code ${code}`
    : `to log in, open ${url} and enter the code ${code}`;
}

/** RFC 8628: a browser on another device, for machines without a browser. */
export const oidcDeviceAuthz: AuthMethod = {
  name: 'v3oidcdeviceauthz',
  aliases: [],
  use: 'Browser',
  summary: 'a browser on another device, with an OpenID Connect provider',
  options: [
    ...FEDERATION_OPTIONS,
    ...OIDC_OPTIONS,
    {
      name: 'device-authorization-endpoint',
      cacheKey: 'trust',
      group: 'OpenID Connect',
      env: ['OS_DEVICE_AUTHORIZATION_ENDPOINT'],
      help: "URL of the provider's device authorization endpoint, instead of the one in the discovery document",
      trustSensitive: true,
    },
    {
      name: 'code-challenge-method',
      cacheKey: { unusedBecause: 'only how the code is protected' },
      group: 'OpenID Connect',
      env: ['OS_CODE_CHALLENGE_METHOD'],
      choices: ['S256'],
      help: 'S256 binds the code to this run (PKCE), for providers that require it',
    },
  ],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: () => true,
  ...makeOidcMethod({
    grant: DEVICE_GRANT,
    usesBrowser: true,
    endpoints: ['device_authorization', 'token'],
    listMissing: () => [],
    identify: () => [],
    describeSubject: () => SUBJECT,
    async fetchTokens(config, provider, { http, user }) {
      // Fail before the request for a code that no user would see.
      user.requirePresence();
      return logInWithDevice(http, provider, {
        client: readOidcClient(config),
        scope: readOpenidScope(config),
        usesPkce: config.has('code-challenge-method'),
        subject: SUBJECT,
        loginTimeoutMs: readLoginTimeoutMs(config),
        showInstructions: (instructions) => {
          user.notify(describeInstructions(instructions));
        },
      });
    },
  }),
};
