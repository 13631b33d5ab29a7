import { listUnset } from '../config/resolve-config.ts';
import { createHash, randomBytes } from 'node:crypto';
import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError, KeystoneProtocolError } from '../../shared/base/errors.ts';
import { isPlaintextLoopback } from '../../shared/http/peer.ts';
import { readUnverifiedClaims } from '../../shared/oidc/jwt.ts';
import type { Provider } from '../../shared/oidc/provider.ts';
import { explainOAuthError } from '../../shared/oidc/explain-oauth-error.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { OAuthTokens } from '../../shared/oidc/token-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import { BROWSER_OPTIONS, listenForCallback, logInWithBrowser } from './browser-login.ts';
import type { AuthMethod, MethodContext } from './auth-method.ts';
import { FEDERATION_OPTIONS, OIDC_OPTIONS, makeOidcMethod, readOidcClient, readOpenidScope } from './oidc.ts';

/** A native program's: any port, and an address, which no name server can lead elsewhere (RFC 8252, 7.3 and 8.3). */
const USUAL_REDIRECT = 'http://127.0.0.1:0/callback';

const SUBJECT = 'the user in the browser';

const OPTIONS: readonly Option[] = [
  {
    name: 'authorization-endpoint',
    group: 'OpenID Connect',
    env: ['OS_AUTHORIZATION_ENDPOINT'],
    help: "URL of the provider's authorization endpoint, instead of the discovery document's",
    trustSensitive: true,
  },
  {
    name: 'redirect-uri',
    group: 'OpenID Connect',
    env: ['OS_REDIRECT_URI'],
    help: 'what the provider sends the browser back to: http:// on this machine, any free port where it names none (http://127.0.0.1/callback)',
    prompt: 'Redirect URI that the code was made for',
  },
  {
    name: 'code',
    aliases: ['authorization-code'],
    group: 'OpenID Connect',
    flag: false,
    env: ['OS_CODE', 'OS_AUTHORIZATION_CODE'],
    help: "the provider's authorization code, which works once, instead of a browser",
    secret: true,
  },
];

/** Where the browser is to come back to; port 0 stands for a free one. */
function readRedirect(config: ResolvedConfig): string {
  const text = config.text('redirect-uri');
  if (text === undefined) return USUAL_REDIRECT;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isPlaintextLoopback(url) || url.search !== '' || url.hash !== '') {
    const origin = config.origin('redirect-uri');
    throw new ConfigError(`${origin} must be http:// on this machine, for that is where the browser is waited for`, {
      hint: `set ${origin} to http://127.0.0.1/callback, for example, or give the code of another with OS_CODE`,
    });
  }
  if (url.port === '') url.port = '0';
  return url.href;
}

/** 256 bits in letters that no URL has to escape. */
const random = (): string => randomBytes(32).toString('base64url');

/** Authorization request (RFC 6749, 4.1.1; RFC 7636, 4.3; OpenID Connect Core, 3.1.2.1). */
function makeAddress(provider: Provider, fields: Readonly<Record<string, string>>): string {
  const url = new URL(provider.getEndpoint('authorization').url);
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Whether the answer says who made it as it should: one that comes from another provider is no answer to us (RFC 9207).
 *
 * @throws KeystoneProtocolError when another provider made it
 */
function isOfProvider({ issuer, advertises }: Provider, said: string | undefined): boolean {
  if (issuer === undefined) return true;
  if (said === undefined) return !advertises('authorization_response_iss_parameter_supported');
  if (said === issuer) return true;
  throw new KeystoneProtocolError('protocol', 'the browser brought the answer of another identity provider', {
    hint: 'check OS_DISCOVERY_ENDPOINT, or ask its operator',
  });
}

/** An ID token must be of this very login (OpenID Connect Core, 3.1.3.7, 11). */
function checkNonce({ idToken }: OAuthTokens, nonce: string): void {
  const claims = idToken === undefined ? undefined : readUnverifiedClaims(idToken.reveal());
  if (claims === undefined || claims.nonce === nonce) return;
  throw new KeystoneProtocolError('protocol', 'the identity provider gave the token of another login', {
    hint: 'log in again, or ask its operator',
  });
}

async function askWithBrowser(config: ResolvedConfig, provider: Provider, tools: MethodContext): Promise<OAuthTokens> {
  const listener = await listenForCallback(tools, {
    url: readRedirect(config),
    verb: 'GET',
    portHint: 'end it, or set OS_REDIRECT_URI (--redirect-uri) to one without a port or with another',
  });
  const client = readOidcClient(config);
  const [state, nonce, verifier] = [random(), random(), random()];
  const redirect = { redirect_uri: listener.url };
  try {
    const code = await logInWithBrowser(config, tools, {
      listener,
      state,
      loginUrl: makeAddress(provider, {
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
      accept(values) {
        // Without it, a page of somebody else's could end the login as somebody else (RFC 6749, 10.12).
        if (values.get('state') !== state || !isOfProvider(provider, values.get('iss'))) return undefined;
        const reason = values.get('error');
        if (reason !== undefined) throw explainOAuthError(reason, values.get('error_description'), SUBJECT);
        const found = values.get('code');
        return found === undefined || found === '' ? undefined : new Secret(found);
      },
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

const common = {
  grant: 'authorization_code',
  usesBrowser: true,
  identify: () => [],
  describeSubject: () => SUBJECT,
} as const;

const withBrowser = makeOidcMethod({
  ...common,
  endpoints: ['authorization', 'token'],
  listMissing: () => [],
  fetchTokens: askWithBrowser,
});

const withCode = makeOidcMethod({
  ...common,
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

const way = (config: ResolvedConfig): typeof withBrowser => (config.has('code') ? withCode : withBrowser);

/** RFC 6749, 4.1, with a browser as RFC 8252 wants it for native programs: loopback, PKCE, state, and the issuer checked. */
export const oidcAuthCode: AuthMethod = {
  name: 'v3oidcauthcode',
  aliases: [],
  summary: 'a browser, with an OpenID Connect provider',
  options: [...FEDERATION_OPTIONS, ...OIDC_OPTIONS, ...OPTIONS, ...BROWSER_OPTIONS],
  impliedBy: [],
  conflictsWith: [],
  waitsForUser: true,
  ...withBrowser,
  listMissing: (config) => way(config).listMissing(config),
  prepareRequest: async (config, tools) => way(config).prepareRequest(config, tools),
};
