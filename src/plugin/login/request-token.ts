/** Requests tokens from Keystone: prepare the request, choose the endpoint, authenticate, rescope, verify. */
import { AuthRejected, PluginError } from '../../shared/base/errors.ts';
import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import { buildRescopeRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { authenticate } from '../../shared/keystone/client.ts';
import type { IssuedToken } from '../../shared/keystone/client.ts';
import { findV3Endpoint, replaceVersion } from '../../shared/keystone/discovery.ts';
import type { Scope } from '../../shared/keystone/scope.ts';
import { findTokenMismatch } from '../../shared/keystone/verify-token.ts';
import type { OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { AuthMethod, MethodContext, ProviderToken } from '../auth-methods/auth-method.ts';
import { buildValidationRequest } from '../auth-methods/existing-token.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import type { CachedToken, TokenRecord } from '../cache/token-record.ts';
import { openNegotiateHttp } from '../kerberos/negotiate.ts';
import { acceptProviderToken, acceptToken } from './accept-token.ts';
import type { ReceivedToken } from './accept-token.ts';
import { sendWithFactors } from './additional-factors.ts';
import { makeHttpSettings, withHttp } from './http-context.ts';
import type { LoginContext } from './login-context.ts';
import { isRefreshTokenRefused, rememberRefusedRefreshToken } from './refused-logins.ts';

/**
 * Requests a token with a complete configuration.
 *
 * @throws InteractionRequired if the login needs a user, who would see no message
 * @throws AuthRejected | AdditionalFactorRequired | KeystoneUnreachable | KeystoneProtocolError
 */
export async function requestToken(login: LoginContext, config: ResolvedConfig): Promise<ReceivedToken> {
  // Before any server is asked, which can take long.
  if (login.method.waitsForUser?.(config) === true) login.user.requirePresence();
  return withHttp(login, login.deadlineMs, async (http) => {
    const context = makeMethodContext(login, config, http);
    const request = await login.method.prepareRequest(config, context);
    return sendRequest(login, config, context, request);
  });
}

function makeMethodContext(login: LoginContext, config: ResolvedConfig, http: HttpClient): MethodContext {
  const { host, tls, user, method, reporter } = login;
  let v3Endpoint: Promise<string> | undefined;
  return {
    host,
    http,
    tls,
    user,
    detail: reporter.debug,
    findV3Endpoint: () =>
      (v3Endpoint ??= findV3Endpoint(http, readAuthUrl(config) ?? '', {
        wantsDiscovery: usesDiscovery(config, method),
        warn: reporter.warn,
      })),
  };
}

/** Sends a prepared request; a provider's own token needs none. */
async function sendRequest(
  login: LoginContext,
  config: ResolvedConfig,
  context: MethodContext,
  request: AuthRequest | ProviderToken,
): Promise<ReceivedToken> {
  if ('token' in request) return acceptProviderToken(login, request, login.host.now());
  login.reporter.debug(`logging in ${request.subject} (${login.method.name})`);
  const endpoints = await chooseEndpoints(login, config, context, request);
  return authenticateAndRescope(login, config, context.http, endpoints, request);
}

/** Where a login is sent, and the v3 endpoint of the same Keystone. */
interface LoginEndpoints {
  readonly login: string;
  readonly v3: string;
}

/**
 * Chooses the endpoint of a login, one of four: v3 of another Keystone; v4 next to v3; v3 as Keystone
 * lists it; or, for keystoneauth's `v3*` types, v3 at the URL as it is (see {@link usesDiscovery}).
 */
async function chooseEndpoints(
  { reporter }: LoginContext,
  config: ResolvedConfig,
  context: MethodContext,
  { version, otherKeystone }: AuthRequest,
): Promise<LoginEndpoints> {
  if (otherKeystone !== undefined) {
    const { url, peer } = otherKeystone;
    const v3 = await findV3Endpoint(context.http, url, { wantsDiscovery: true, warn: reporter.warn, peer });
    return { login: v3, v3 };
  }
  if (version !== undefined) {
    const url = readAuthUrl(config) ?? '';
    return { login: replaceVersion(url, version), v3: replaceVersion(url, 'v3') };
  }
  const v3 = await context.findV3Endpoint();
  return { login: v3, v3 };
}

/** Whether Keystone is asked for its versions: keystoneauth's `v3*` types take the URL as it is. */
export function usesDiscovery(config: ResolvedConfig, method: AuthMethod): boolean {
  return !(config.text('auth-type') ?? method.name).startsWith('v3');
}

/**
 * Asks Keystone for the names that a comparison needs and that a new token does not have, as with the mapping engine of
 * Rust Keystone. Without an answer, the token stays as it is.
 */
async function addMissingNames(
  http: HttpClient,
  v3Endpoint: string,
  { subject, expected }: AuthRequest,
  issued: IssuedToken,
): Promise<IssuedToken> {
  const { token } = issued;
  if (findTokenMismatch(expected, token.details)?.unknown === undefined) return issued;
  try {
    const request = { ...buildValidationRequest(token.id), subject, expected };
    const { details } = (await authenticate(http, v3Endpoint, request)).token;
    return haveSameIds(token.details, details) ? { ...issued, token: { ...token, details } } : issued;
  } catch (error) {
    if (error instanceof PluginError) return issued;
    throw error;
  }
}

/** Whether two descriptions are of one token. */
function haveSameIds(one: JsonObject, other: JsonObject): boolean {
  return ['user', 'project', 'domain'].every(
    (member) => textAt(objectAt(one, member), 'id') === textAt(objectAt(other, member), 'id'),
  );
}

/** Authenticates and, if the token lacks the scope that is set, exchanges it for one that has it. */
async function authenticateAndRescope(
  login: LoginContext,
  config: ResolvedConfig,
  http: HttpClient,
  endpoints: LoginEndpoints,
  request: AuthRequest,
): Promise<ReceivedToken> {
  const transport = request.usesNegotiate ? openNegotiateHttp(makeHttpSettings(login, login.deadlineMs)) : http;
  const issued = await sendWithFactors(login, config, request, (attempt) =>
    authenticate(transport, endpoints.login, attempt),
  );
  const first = await addMissingNames(http, endpoints.v3, request, issued);
  const scope = request.rescopeTarget;
  // The mapping may have given the token this scope already; such a token need not be exchangeable.
  if (scope === undefined || findTokenMismatch({ scope }, first.token.details) === undefined) {
    return acceptToken(login, request, endpoints.v3, first);
  }
  const rescope = buildRescopeRequest(request, first.token.id, scope);
  const scoped = await authenticate(http, endpoints.v3, rescope);
  return acceptToken(login, { ...request, ...rescope }, endpoints.v3, scoped);
}

/**
 * Requests the next token with the refresh token of the last one, if the auth method can and no prompt is needed.
 *
 * @returns undefined if it cannot, or if the refresh token is rejected: a full login may still succeed
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function renewToken(
  login: LoginContext,
  { key, record }: CachedToken,
): Promise<ReceivedToken | undefined> {
  const { config, method, reporter, cache } = login;
  const { renewal } = method;
  if (record.refresh === undefined || renewal === undefined) return undefined;
  const listMissing = (settings: ResolvedConfig): OptionName[] => renewal.listMissing(settings);
  if (findMissingOptions(config, { ...method, listMissing }).length > 0) return undefined;
  if (isRefreshTokenRefused(login, record.refresh)) {
    reporter.debug('the last login is not renewed: that was refused, and is not tried again yet');
    return undefined;
  }
  let latest = record.refresh;
  const refreshToken = new Secret(latest);
  try {
    return await withHttp(login, login.deadlineMs, async (http) => {
      const context = makeMethodContext(login, config, http);
      const request = await renewal.prepareRequest(config, context, refreshToken);
      const next = request.refreshToken?.reveal();
      // The old refresh token may be used up by now: store the new one before Keystone can fail.
      if (next !== undefined && next !== record.refresh) await cache.store(key, { ...record, refresh: next }, []);
      latest = next ?? latest;
      return sendRequest(login, config, context, request);
    });
  } catch (error) {
    if (!(error instanceof AuthRejected)) throw error;
    rememberRefusedRefreshToken(login, latest, error);
    reporter.debug(`the last login cannot be renewed: ${error.message}`);
    return undefined;
  }
}

/**
 * Exchanges a token for one with another scope; the refresh token of the old one stays valid for the new one.
 *
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function rescopeToken(
  login: LoginContext,
  record: TokenRecord,
  scope: Scope,
  identity: Pick<AuthRequest, 'subject' | 'expected'>,
): Promise<ReceivedToken> {
  const { endpoint = '', refresh } = record;
  const request = buildRescopeRequest(identity, new Secret(record.token), scope);
  const issued = await withHttp(login, login.deadlineMs, (http) => authenticate(http, endpoint, request));
  const received = acceptToken(login, request, endpoint, issued);
  return { ...received, record: { ...received.record, refresh } };
}
