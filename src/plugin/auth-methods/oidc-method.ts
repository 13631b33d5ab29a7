/** What the auth methods through an OpenID Connect provider have in common. */
import type { Secret } from '../../shared/base/secret.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import { readCredentialUrl } from '../../shared/keystone/auth-url.ts';
import { resolveProvider } from '../../shared/oidc/provider.ts';
import type { EndpointName } from '../../shared/oidc/endpoint.ts';
import type { GrantRequirements, Provider, ProviderSettings, ConfiguredUrl } from '../../shared/oidc/provider.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { OAuthClient, OAuthTokens } from '../../shared/oidc/token-request.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import type { AuthMethod, MethodContext, ProviderToken } from './auth-method.ts';
import { buildFederatedRequest, identifyFederation, listMissingFederation } from './federated-request.ts';
import { makeProviderToken, pickToken, wantsProviderToken } from './provider-token.ts';

/** The options that set an endpoint; each takes precedence over the discovery document. */
const ENDPOINT_OPTIONS = {
  token: 'access-token-endpoint',
  authorization: 'authorization-endpoint',
  device_authorization: 'device-authorization-endpoint',
} as const satisfies Readonly<Record<EndpointName, OptionName>>;

type UrlOptionName = 'discovery-endpoint' | (typeof ENDPOINT_OPTIONS)[EndpointName];

const EXAMPLE = 'https://idp.example.com/.well-known/openid-configuration';

const DEFAULT_SCOPE = 'openid profile';

function readUrl(config: ResolvedConfig, name: UrlOptionName): ConfiguredUrl | undefined {
  const url = readCredentialUrl(config, name, EXAMPLE);
  if (url === undefined) return undefined;
  url.hash = '';
  return { url: url.href, origin: config.origin(name) };
}

/** @throws ConfigError for a URL that must not get a credential */
function readProvider(config: ResolvedConfig, names: readonly EndpointName[]): ProviderSettings {
  const endpoints = names.map((name) => [name, readUrl(config, ENDPOINT_OPTIONS[name])] as const);
  return {
    discovery: readUrl(config, 'discovery-endpoint'),
    endpoints: Object.fromEntries(endpoints),
    allowHttp: config.isOn('allow-http'),
  };
}

/** Describes for prompts where the input goes. */
function describeProvider(config: ResolvedConfig): string {
  const { discovery, endpoints } = readProvider(config, ['token']);
  const url = endpoints.token?.url ?? discovery?.url;
  return url === undefined ? '' : `at ${new URL(url).origin}`;
}

/** Reads the OAuth client. */
export function readOidcClient(config: ResolvedConfig): OAuthClient {
  return { id: config.text('client-id') ?? '', secret: config.secret('client-secret') };
}

/** Reads the scopes to request from the provider (OpenID Connect Core, section 3.1.2.1). */
export function readOpenidScope(config: ResolvedConfig): string {
  return config.text('openid-scope') ?? DEFAULT_SCOPE;
}

/** One way to get tokens from a provider. */
export interface OidcGrant {
  /** `grant_type`. */
  readonly grant: string;
  /** The endpoints that it needs; by default, the token endpoint. */
  readonly endpoints?: readonly EndpointName[];
  /** The user may be logged in to the browser as another user, so the plugin announces the token owner. */
  readonly usesBrowser?: true;
  /** Lists its own options that are missing. */
  listMissing(config: ResolvedConfig): OptionName[];
  /** Lists fields of the cache key that distinguish users; never a value that can be guessed. */
  identify(config: ResolvedConfig): (string | undefined)[];
  /** Describes for messages who logs in. */
  describeSubject(config: ResolvedConfig): string;
  /** @throws OAuthError when the provider rejects the login; PluginError when a request fails */
  fetchTokens(config: ResolvedConfig, provider: Provider, tools: MethodContext): Promise<OAuthTokens>;
}

function listMissingProvider(config: ResolvedConfig, endpoints: readonly EndpointName[]): OptionName[] {
  const hasEndpoints = endpoints.every((name) => config.has(ENDPOINT_OPTIONS[name]));
  return [...(hasEndpoints ? [] : listUnset(config, 'discovery-endpoint')), ...listUnset(config, 'client-id')];
}

/** Lists every setting that decides what a token is for, or that a refresh token must not be used without. */
function identifyProvider(config: ResolvedConfig, names: readonly EndpointName[]): (string | undefined)[] {
  const { discovery, endpoints } = readProvider(config, names);
  return [
    discovery?.url,
    ...names.map((name) => endpoints[name]?.url),
    config.text('client-id'),
    // A client without a secret is a public one.
    config.has('client-secret') ? 'confidential' : 'public',
    readOpenidScope(config),
    config.text('access-token-type'),
  ];
}

/** Turns the provider's tokens into the request to Keystone or, with `token-kind`, into the result of the login. */
function useTokens(config: ResolvedConfig, tokens: OAuthTokens, subject: string): AuthRequest | ProviderToken {
  const { refreshToken } = tokens;
  const kind = config.text('token-kind');
  if (kind === undefined) {
    const token = pickToken(tokens, config.text('access-token-type') ?? 'access_token');
    return buildFederatedRequest(config, { subject, token, refreshToken });
  }
  // `expires_in` is the lifetime of the access token (RFC 6749, section 5.1).
  const lifetimeMs = kind === 'access_token' ? tokens.lifetimeMs : undefined;
  return makeProviderToken(pickToken(tokens, kind), { ...tokens, lifetimeMs, refreshToken, subject });
}

function openProvider(config: ResolvedConfig, { http }: MethodContext, needs: GrantRequirements): Promise<Provider> {
  return resolveProvider(http, readProvider(config, needs.endpoints), needs);
}

/** Requests tokens with a refresh token. */
async function refreshTokens(
  config: ResolvedConfig,
  tools: MethodContext,
  { grant, subject, refresh }: { grant: string; subject: string; refresh: Secret },
): Promise<OAuthTokens> {
  const provider = await openProvider(config, tools, { grant, endpoints: ['token'] });
  const tokens = await requestOAuthTokens(tools.http, provider, {
    client: readOidcClient(config),
    form: { grant_type: 'refresh_token', refresh_token: refresh },
    subject,
    // Many providers accept a refresh token once, and revoke all tokens when it is sent again.
    isSingleUse: true,
  });
  // Without a replacement, the refresh token stays valid (RFC 6749, section 6).
  return { ...tokens, refreshToken: tokens.refreshToken ?? refresh };
}

/** Makes the common parts of an auth method through a provider. */
export function makeOidcMethod(
  oidcGrant: OidcGrant,
): Pick<
  AuthMethod,
  | 'worksWithoutKeystoneUrl'
  | 'canGiveProviderToken'
  | 'describePromptTarget'
  | 'listMissing'
  | 'identify'
  | 'prepareRequest'
  | 'renewal'
> {
  const { grant, endpoints = ['token'] } = oidcGrant;
  const listMissingCommon = (config: ResolvedConfig): OptionName[] => [
    ...listMissingFederation(config),
    ...listMissingProvider(config, endpoints),
  ];
  return {
    canGiveProviderToken: true,
    worksWithoutKeystoneUrl: wantsProviderToken,
    describePromptTarget: describeProvider,
    listMissing: (config) => [...listMissingCommon(config), ...oidcGrant.listMissing(config)],
    identify: (config) => [
      ...identifyFederation(config),
      ...identifyProvider(config, endpoints),
      ...oidcGrant.identify(config),
    ],
    async prepareRequest(config, tools) {
      const provider = await openProvider(config, tools, { grant, endpoints });
      const tokens = await oidcGrant.fetchTokens(config, provider, tools);
      const request = useTokens(config, tokens, oidcGrant.describeSubject(config));
      return oidcGrant.usesBrowser && !('token' in request) ? { ...request, announcesOwner: true } : request;
    },
    renewal: {
      listMissing: listMissingCommon,
      async prepareRequest(config, tools, refresh) {
        const subject = oidcGrant.describeSubject(config);
        return useTokens(config, await refreshTokens(config, tools, { grant, subject, refresh }), subject);
      },
    },
  };
}
