import { createHash, randomBytes } from 'node:crypto';
import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError, KeystoneProtocolError } from '../../shared/base/errors.ts';
import { isPlaintextLoopback } from '../../shared/http/peer.ts';
import { readUnverifiedClaims } from '../../shared/oidc/jwt.ts';
import type { Provider } from '../../shared/oidc/provider.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { OAuthTokens } from '../../shared/oidc/token-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import { listUnset } from '../config/resolve-config.ts';
import { BROWSER_OPTIONS, listenForCallback, logInWithBrowser, readAuthorizationCode } from './browser-login.ts';
import type { AuthMethod, MethodContext } from './auth-method.ts';
import { makeOidcMethod, readOidcClient, readOpenidScope } from './oidc-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS } from './oidc-options.ts';

/** Any port, and an address because DNS cannot redirect it (RFC 8252, sections 7.3 and 8.3). */
const DEFAULT_REDIRECT = 'http://127.0.0.1:0/callback';

const SUBJECT = 'the user in the browser';

const AUTH_CODE_OPTIONS: readonly Option[] = [
  {
    name: 'authorization-endpoint',
    cacheKey: 'trust',
    group: 'OpenID Connect',
    env: ['OS_AUTHORIZATION_ENDPOINT'],
    help: "URL of the provider's authorization endpoint, instead of the one in the discovery document",
    trustSensitive: true,
  },
  {
    name: 'redirect-uri',
    cacheKey: 'identity',
    group: 'OpenID Connect',
    env: ['OS_REDIRECT_URI'],
    help:
      'address that the provider sends the browser back to: http:// on this machine; ' +
      'without a port, any free port (http://127.0.0.1/callback)',
    prompt: 'Redirect URI of the authorization code',
  },
  {
    name: 'code',
    cacheKey: 'identity',
    aliases: ['authorization-code'],
    group: 'OpenID Connect',
    flag: false,
    env: ['OS_CODE', 'OS_AUTHORIZATION_CODE'],
    help: 'authorization code of the provider, valid once, instead of a browser login',
    secret: true,
    singleUse: true,
  },
];

/** Reads the address that the browser returns to; port 0 means any free port. */
function readRedirectUri(config: ResolvedConfig): string {
  const text = config.text('redirect-uri');
  if (text === undefined) return DEFAULT_REDIRECT;
  const url = URL.parse(text) ?? undefined;
  if (url === undefined || !isPlaintextLoopback(url) || url.search !== '' || url.hash !== '') {
    const origin = config.origin('redirect-uri');
    throw new ConfigError(
      `${origin} must be an http:// address of this machine, because the plugin waits for the browser there`,
      {
        hint: `set ${origin} to http://127.0.0.1/callback, for example, or set OS_CODE to the code of another login`,
      },
    );
  }
  if (url.port === '') url.port = '0';
  return url.href;
}

/** Makes 256 random bits in characters that URLs do not escape. */
const makeRandomText = (): string => randomBytes(32).toString('base64url');

/** Makes an authorization request (RFC 6749, 4.1.1; RFC 7636, 4.3; OpenID Connect Core, 3.1.2.1). */
function makeLoginUrl(provider: Provider, fields: Readonly<Record<string, string>>): string {
  const url = new URL(provider.getEndpoint('authorization').url);
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Whether the response identifies its issuer as the provider advertises (RFC 9207).
 *
 * @throws KeystoneProtocolError (protocol) when another provider is the issuer
 */
function isExpectedIssuer({ issuer, advertises }: Provider, received: string | undefined): boolean {
  if (issuer === undefined) return true;
  if (received === undefined) return !advertises('authorization_response_iss_parameter_supported');
  if (received === issuer) return true;
  throw new KeystoneProtocolError('protocol', 'the browser brought the response of another identity provider', {
    hint: 'check OS_DISCOVERY_ENDPOINT, or ask its operator',
  });
}

/** Checks that the ID token belongs to this login (OpenID Connect Core, section 3.1.3.7, step 11). */
function checkNonce({ idToken }: OAuthTokens, nonce: string): void {
  const claims = idToken === undefined ? undefined : readUnverifiedClaims(idToken.reveal());
  if (claims === undefined || claims.nonce === nonce) return;
  throw new KeystoneProtocolError('protocol', 'the identity provider returned the token of another login', {
    hint: 'log in again, or ask its operator',
  });
}

async function fetchTokensWithBrowser(
  config: ResolvedConfig,
  provider: Provider,
  tools: MethodContext,
): Promise<OAuthTokens> {
  const listener = await listenForCallback(tools, {
    url: readRedirectUri(config),
    verb: 'GET',
    portHint: 'stop it, or set OS_REDIRECT_URI (--redirect-uri) to an address without a port or with another port',
  });
  const client = readOidcClient(config);
  const [state, nonce, verifier] = [makeRandomText(), makeRandomText(), makeRandomText()];
  const redirect = { redirect_uri: listener.url };
  try {
    const code = await logInWithBrowser(config, tools, {
      listener,
      state,
      loginUrl: makeLoginUrl(provider, {
        response_type: 'code',
        response_mode: 'query',
        client_id: client.id,
        ...redirect,
        scope: readOpenidScope(config),
        state,
        nonce,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }),
      accept: (values) =>
        readAuthorizationCode(values, {
          state,
          subject: SUBJECT,
          isExpectedIssuer: (issuer) => isExpectedIssuer(provider, issuer),
        }),
    });
    const form = { ...redirect, code, code_verifier: new Secret(verifier), grant_type: 'authorization_code' };
    const tokens = await requestOAuthTokens(tools.http, provider, {
      client,
      form,
      subject: SUBJECT,
      isSingleUse: true,
    });
    checkNonce(tokens, nonce);
    return tokens;
  } finally {
    listener.close();
  }
}

const COMMON = {
  grant: 'authorization_code',
  usesBrowser: true,
  describeSubject: () => SUBJECT,
} as const;

const withBrowser = makeOidcMethod({
  ...COMMON,
  identify: () => [],
  endpoints: ['authorization', 'token'],
  listMissing: () => [],
  fetchTokens: fetchTokensWithBrowser,
});

const withCode = makeOidcMethod({
  ...COMMON,
  // The code decides who logs in.
  identify: (config) => ['code', config.secret('code')?.reveal(), config.text('redirect-uri')],
  listMissing: (config) => listUnset(config, 'redirect-uri'),
  fetchTokens: async (config, provider, { http }) =>
    requestOAuthTokens(http, provider, {
      client: readOidcClient(config),
      form: {
        redirect_uri: config.text('redirect-uri'),
        code: config.secret('code'),
        grant_type: 'authorization_code',
      },
      subject: 'the user of the authorization code',
      isSingleUse: true,
    }),
});

const chooseMethodParts = (config: ResolvedConfig): typeof withBrowser => (config.has('code') ? withCode : withBrowser);

/** RFC 6749, section 4.1, as RFC 8252 requires for native programs: loopback, PKCE, `state`, and issuer check. */
export const oidcAuthCode: AuthMethod = {
  name: 'v3oidcauthcode',
  aliases: [],
  use: 'Browser',
  summary: 'a browser, with an OpenID Connect provider',
  options: [...FEDERATION_OPTIONS, ...OIDC_OPTIONS, ...AUTH_CODE_OPTIONS, ...BROWSER_OPTIONS],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: (config) => !config.has('code'),
  ...withBrowser,
  listMissing: (config) => chooseMethodParts(config).listMissing(config),
  identify: (config, host) => chooseMethodParts(config).identify(config, host),
  prepareRequest: async (config, tools) => chooseMethodParts(config).prepareRequest(config, tools),
};
