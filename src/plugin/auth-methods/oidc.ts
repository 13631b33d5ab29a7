/** What the ways to log in through an OpenID Connect provider have in common (Keystone API v3, "OS-FEDERATION"). */
import { listUnset } from '../config/resolve-config.ts';
import { readCredentialUrl } from '../../shared/keystone/auth-url.ts';
import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { describeScope, findRescopeTarget, listScopeFields } from '../../shared/keystone/scope.ts';
import { AuthRejected } from '../../shared/base/errors.ts';
import type { AuthRequest, StatusExplanation } from '../../shared/keystone/auth-request.ts';
import { readUnverifiedClaims } from '../../shared/oidc/jwt.ts';
import { resolveProvider } from '../../shared/oidc/provider.ts';
import type { GrantRequirements, Provider, ProviderSettings, ConfiguredUrl } from '../../shared/oidc/provider.ts';
import type { EndpointName } from '../../shared/oidc/endpoint.ts';
import { requestOAuthTokens } from '../../shared/oidc/token-request.ts';
import type { OAuthClient, OAuthTokens } from '../../shared/oidc/token-request.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { AuthMethod, ProviderToken, MethodContext } from './auth-method.ts';

/** Who has said who the user is. */
export const IDENTITY_PROVIDER_OPTION: Option = {
  name: 'identity-provider',
  group: 'Federation',
  env: ['OS_IDENTITY_PROVIDER'],
  help: "Keystone's id of the identity provider",
  prompt: 'Identity provider',
};

/** Keystone's side of a federated login. */
export const FEDERATION_OPTIONS: readonly Option[] = [
  IDENTITY_PROVIDER_OPTION,
  {
    name: 'protocol',
    group: 'Federation',
    env: ['OS_PROTOCOL'],
    help: "Keystone's id of the protocol, such as openid",
    prompt: 'Federation protocol',
    suggestion: 'openid',
  },
];

/** Where a provider's own token is wanted, of whatever method. */
export const TOKEN_KIND_OPTION: Option = {
  name: 'token-kind',
  group: 'OpenID Connect',
  env: ['CLIENT_KEYSTONE_AUTH_TOKEN_KIND'],
  choices: ['id_token', 'access_token'],
  trustSensitive: true,
  help: "for a cluster that trusts the provider itself: give this token of the provider's and leave Keystone out",
};

/** The provider's side of a federated login. */
export const OIDC_OPTIONS: readonly Option[] = [
  {
    name: 'client-id',
    group: 'OpenID Connect',
    env: ['OS_CLIENT_ID'],
    help: "the provider's id for this program",
    prompt: 'OpenID Connect client id',
  },
  {
    name: 'client-secret',
    group: 'OpenID Connect',
    flag: false,
    env: ['OS_CLIENT_SECRET'],
    help: "the client's secret; a public client has none",
    secret: true,
    prompt: 'OpenID Connect client secret',
  },
  {
    name: 'openid-scope',
    group: 'OpenID Connect',
    env: ['OS_OPENID_SCOPE'],
    help: 'scopes to ask the provider for, separated by spaces (openid profile)',
  },
  {
    name: 'discovery-endpoint',
    group: 'OpenID Connect',
    env: ['OS_DISCOVERY_ENDPOINT'],
    help: "URL of the provider's /.well-known/openid-configuration",
    prompt: 'URL of the discovery document',
    trustSensitive: true,
  },
  {
    name: 'access-token-endpoint',
    group: 'OpenID Connect',
    env: ['OS_ACCESS_TOKEN_ENDPOINT'],
    help: "URL of the provider's token endpoint, instead of the discovery document's",
    trustSensitive: true,
  },
  {
    name: 'access-token-type',
    group: 'OpenID Connect',
    env: ['OS_ACCESS_TOKEN_TYPE'],
    choices: ['access_token', 'id_token'],
    help: "which of the provider's tokens Keystone gets: access_token (if nothing is set) or id_token",
  },
  TOKEN_KIND_OPTION,
];

/** The options that set an endpoint; each beats the discovery document. */
const ENDPOINT_OPTIONS = {
  token: 'access-token-endpoint',
  authorization: 'authorization-endpoint',
  device_authorization: 'device-authorization-endpoint',
} as const satisfies Readonly<Record<EndpointName, OptionName>>;

type UrlOptionName = 'discovery-endpoint' | (typeof ENDPOINT_OPTIONS)[EndpointName];

const EXAMPLE = 'https://idp.example.com/.well-known/openid-configuration';

const DEFAULT_SCOPE = 'openid profile';

/** How long a provider's token counts that says nowhere how long it lives: short, for nobody can be asked about it. */
const UNKNOWN_LIFETIME_MS = 300_000;

function readUrl(config: ResolvedConfig, name: UrlOptionName): ConfiguredUrl | undefined {
  const url = readCredentialUrl(config, name, EXAMPLE);
  if (url === undefined) return undefined;
  url.hash = '';
  return { url: url.href, origin: config.origin(name) };
}

/** @throws ConfigError for a URL that no credential may be sent to */
function readProvider(config: ResolvedConfig): ProviderSettings {
  const endpoints = Object.entries(ENDPOINT_OPTIONS).map(([name, option]) => [name, readUrl(config, option)] as const);
  return {
    discovery: readUrl(config, 'discovery-endpoint'),
    endpoints: Object.fromEntries(endpoints),
    allowHttp: config.isOn('allow-http'),
  };
}

/** Where a user's proofs go, in the words of a prompt. */
function describeProvider(config: ResolvedConfig): string {
  const { discovery, endpoints } = readProvider(config);
  const url = endpoints.token?.url ?? discovery?.url;
  return url === undefined ? '' : `at ${new URL(url).origin}`;
}

/** The client as it is set. */
export function readOidcClient(config: ResolvedConfig): OAuthClient {
  return { id: config.text('client-id') ?? '', secret: config.secret('client-secret') };
}

/** The scopes to ask the provider for (OpenID Connect Core, 3.1.2.1). */
export function readOpenidScope(config: ResolvedConfig): string {
  return config.text('openid-scope') ?? DEFAULT_SCOPE;
}

/** Whether the provider's own token is wanted, and so no Keystone. */
export function wantsProviderToken(config: ResolvedConfig): boolean {
  return config.has('token-kind');
}

/** What is missing on Keystone's side. */
export function listMissingFederation(config: ResolvedConfig): OptionName[] {
  if (wantsProviderToken(config)) return [];
  return [...listUnset(config, 'identity-provider', 'protocol'), ...listMissingScope(config)];
}

/** Keystone's side as fields of a cache key. */
export function identifyFederation(config: ResolvedConfig): (string | undefined)[] {
  if (wantsProviderToken(config)) return ['provider', config.text('token-kind')];
  return [
    'keystone',
    config.text('identity-provider'),
    config.text('protocol'),
    ...listScopeFields(resolveScope(config)),
  ];
}

function refusals(config: ResolvedConfig, subject: string): Readonly<Partial<Record<number, StatusExplanation>>> {
  const [idp, protocol] = [config.text('identity-provider') ?? '', config.text('protocol') ?? ''];
  return {
    401: {
      code: 'auth-rejected',
      message: `Keystone refused the provider's token for ${subject}: its mapping knows no such user, it does not trust that provider, or the token is too old or of the wrong type`,
      hint: `check OS_IDENTITY_PROVIDER, OS_PROTOCOL and OS_ACCESS_TOKEN_TYPE, or ask its operator for the mapping`,
    },
    403: {
      code: 'auth-rejected',
      message: `Keystone forbids the login for ${subject}: the provider or the user is disabled, or the mapping gives no role`,
      hint: 'ask its operator',
    },
    404: {
      code: 'credential-unknown',
      message: `Keystone knows no identity provider "${idp}" with the protocol "${protocol}"`,
      hint: 'check OS_IDENTITY_PROVIDER and OS_PROTOCOL',
    },
  };
}

/** What a federated login is about. */
export interface FederatedLogin {
  /** Who logs in, in the words of a message: "alice". */
  readonly subject: string;
  readonly refreshToken?: Secret | undefined;
}

/** Shows a provider's token to Keystone, and exchanges what it gives, which has no scope, where one is wanted. */
export function buildFederatedRequest(
  config: ResolvedConfig,
  token: Secret,
  { subject, refreshToken }: FederatedLogin,
): AuthRequest {
  const scope = resolveScope(config);
  const [idp, protocol] = [config.text('identity-provider') ?? '', config.text('protocol') ?? ''];
  const whole = `${subject} of identity provider ${idp} ${describeScope(scope)}`;
  return {
    verb: 'POST',
    path: `OS-FEDERATION/identity_providers/${encodeURIComponent(idp)}/protocols/${encodeURIComponent(protocol)}/auth`,
    headers: { authorization: new Secret(`Bearer ${token.reveal()}`) },
    subject: whole,
    // Whose token it is, is for the provider to say.
    expected: { scope },
    rescopeTarget: findRescopeTarget(scope),
    refreshToken,
    statusExplanations: refusals(config, whole),
  };
}

/** @throws AuthRejected where the provider did not give that token */
function pick(tokens: OAuthTokens, kind: string): Secret {
  const token = kind === 'id_token' ? tokens.idToken : tokens.accessToken;
  if (token !== undefined) return token;
  throw new AuthRejected('method-not-offered', `the identity provider gave no ${kind}`, {
    hint: kind === 'id_token' ? 'add openid to OS_OPENID_SCOPE, or ask its operator' : 'ask its operator',
  });
}

/**
 * A provider's token as it is, with the best that can be known of its end: its own `exp`, else what was said beside it.
 *
 * @param livesMs from `receivedAt` on, if that is known
 * @param subject who logs in, in the words of a message
 * @throws AuthRejected when it is over already
 */
export function makeProviderToken(
  token: Secret,
  {
    receivedAt,
    serverAheadMs,
    livesMs = UNKNOWN_LIFETIME_MS,
    refreshToken,
    subject,
  }: Pick<OAuthTokens, 'receivedAt' | 'serverAheadMs'> & {
    livesMs?: number | undefined;
    refreshToken?: Secret | undefined;
    subject: string;
  },
): ProviderToken {
  const end = readUnverifiedClaims(token.reveal())?.expiresAt;
  const expiresAt = end === undefined ? receivedAt + livesMs : end - serverAheadMs;
  if (expiresAt > receivedAt) return { token, expiresAt, refreshToken, subject };
  throw new AuthRejected('auth-rejected', "the provider's token has already expired", {
    hint: 'get a new one, and check the clock of this machine',
  });
}

/** Turns what the provider gave into the request to Keystone, or into the provider's own token where that is wanted. */
function useTokens(config: ResolvedConfig, tokens: OAuthTokens, subject: string): AuthRequest | ProviderToken {
  const refreshToken = tokens.refreshToken;
  const kind = config.text('token-kind');
  if (kind === undefined) {
    return buildFederatedRequest(config, pick(tokens, config.text('access-token-type') ?? 'access_token'), {
      subject,
      refreshToken,
    });
  }
  // What is said beside the tokens is about the access token only.
  const livesMs = kind === 'access_token' ? tokens.lifetimeMs : undefined;
  return makeProviderToken(pick(tokens, kind), { ...tokens, livesMs, refreshToken, subject });
}

/** One way to get tokens from a provider. */
export interface OidcGrant {
  /** `grant_type`. */
  readonly grant: string;
  /** The endpoints it needs; the token endpoint, if nothing is said. */
  readonly endpoints?: readonly EndpointName[];
  /** Who logs in in a browser may be logged in there as somebody else, and is told as whom. */
  readonly usesBrowser?: true;
  /** Names of the options of its own that are still missing. */
  listMissing(config: ResolvedConfig): OptionName[];
  /** What tells one user from another, for the cache key: never a value that can be guessed. */
  identify(config: ResolvedConfig): (string | undefined)[];
  /** Who logs in, in the words of a message. */
  describeSubject(config: ResolvedConfig): string;
  /** @throws OAuthRefusal and whatever else comes of asking */
  fetchTokens(config: ResolvedConfig, provider: Provider, tools: MethodContext): Promise<OAuthTokens>;
}

function missingProvider(config: ResolvedConfig, endpoints: readonly EndpointName[]): OptionName[] {
  const known = endpoints.every((name) => config.has(ENDPOINT_OPTIONS[name]));
  return [...(known ? [] : listUnset(config, 'discovery-endpoint')), ...listUnset(config, 'client-id')];
}

/** Everything that a refresh token must not leave for, and that decides what a token is good for. */
function identifyProvider(config: ResolvedConfig): (string | undefined)[] {
  const { discovery, endpoints } = readProvider(config);
  return [
    discovery?.url,
    endpoints.token?.url,
    endpoints.authorization?.url,
    endpoints.device_authorization?.url,
    config.text('client-id'),
    readOpenidScope(config),
    config.text('access-token-type'),
  ];
}

/** The parts that all ways through a provider have in common. */
export function makeOidcMethod(
  way: OidcGrant,
): Pick<
  AuthMethod,
  'worksWithoutKeystoneUrl' | 'describePromptTarget' | 'listMissing' | 'identify' | 'prepareRequest' | 'renewal'
> {
  const { grant, endpoints = ['token'] } = way;
  const open = (config: ResolvedConfig, { http }: MethodContext, needs: GrantRequirements): Promise<Provider> =>
    resolveProvider(http, readProvider(config), needs);
  const missingCommon = (config: ResolvedConfig): OptionName[] => [
    ...listMissingFederation(config),
    ...missingProvider(config, endpoints),
  ];
  return {
    worksWithoutKeystoneUrl: wantsProviderToken,
    describePromptTarget: describeProvider,
    listMissing: (config) => [...missingCommon(config), ...way.listMissing(config)],
    identify: (config) => [...identifyFederation(config), ...identifyProvider(config), ...way.identify(config)],
    async prepareRequest(config, tools) {
      const provider = await open(config, tools, { grant, endpoints });
      const request = useTokens(config, await way.fetchTokens(config, provider, tools), way.describeSubject(config));
      return way.usesBrowser && !('token' in request) ? { ...request, announcesOwner: true } : request;
    },
    renewal: {
      listMissing: missingCommon,
      async prepareRequest(config, tools, refresh) {
        const provider = await open(config, tools, { grant, endpoints: ['token'] });
        const subject = way.describeSubject(config);
        const tokens = await requestOAuthTokens(tools.http, provider, {
          client: readOidcClient(config),
          form: { grant_type: 'refresh_token', refresh_token: refresh },
          subject,
          // Many providers take a refresh token once, and withdraw all when it comes again.
          isSingleUse: true,
        });
        // One that is not replaced stays good (RFC 6749, 6).
        return useTokens(config, { ...tokens, refreshToken: tokens.refreshToken ?? refresh }, subject);
      },
    },
  };
}
