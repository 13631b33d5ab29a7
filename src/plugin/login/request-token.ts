import type { TokenOwner } from '../cache/token-metadata.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { readProxyEnv } from '../../shared/http/proxy.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import type { Scope } from '../../shared/keystone/scope.ts';
import { readTrustedOrigins } from '../../shared/http/trusted-origins.ts';
import { AuthRejected, KeystoneProtocolError } from '../../shared/base/errors.ts';
import { objectAt, textAt } from '../../shared/base/json.ts';
import { buildRescopeRequest } from '../../shared/keystone/auth-request.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import { authenticate, isTokenValid } from '../../shared/keystone/client.ts';
import type { IssuedToken } from '../../shared/keystone/client.ts';
import { findV3Endpoint, replaceVersion } from '../../shared/keystone/discovery.ts';
import { findTokenMismatch } from '../../shared/keystone/verify-token.ts';
import { openHttpClient } from '../../shared/http/http-client.ts';
import type { HttpClient, HttpSettings } from '../../shared/http/http-client.ts';
import { openNegotiateHttp } from '../kerberos/negotiate.ts';
import type { Token } from '../../shared/keystone/token.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import type { AuthMethod, ProviderToken, MethodContext } from '../auth-methods/auth-method.ts';
import { redactAndTruncate } from '../../shared/base/quote.ts';
import { Secret } from '../../shared/base/secret.ts';
import { sendWithFactors } from './additional-factors.ts';
import type { LoginContext } from './login-context.ts';
import type { Reporter } from './reporter.ts';
import { describeTlsTrust } from './tls-trust.ts';
import { readTokenOwner } from './token-owner.ts';

const LIVENESS_MS = 5_000;

/** What the way to Keystone depends on. */
export type HttpContext = Pick<LoginContext, 'host' | 'tls' | 'userAgent' | 'reporter'>;

function httpSettings({ host, tls, userAgent, reporter }: HttpContext, deadlineMs: number): HttpSettings {
  const [trustedOrigins, proxyEnv] = [readTrustedOrigins(host), readProxyEnv(host.env)];
  return { host, tls, trustedOrigins, proxyEnv, userAgent, deadlineMs, log: reporter.debug };
}

/** Uses the way to Keystone for as long as `use` takes, servers being waited for `deadlineMs` in all. */
export async function withHttp<T>(
  way: HttpContext,
  deadlineMs: number,
  use: (http: HttpClient) => Promise<T>,
): Promise<T> {
  const http = await openHttpClient(httpSettings(way, deadlineMs));
  try {
    return await use(http);
  } finally {
    http.close();
  }
}

/** A token that is not the one that was asked for is refused, or given but not kept where only its names differ. */
function judge({ expected, subject, mismatchHint }: AuthRequest, token: Token, reporter: Reporter): boolean {
  const mismatch = findTokenMismatch(expected, token.details);
  if (mismatch === undefined) return true;
  if (mismatchHint !== undefined) {
    // Nobody asked Keystone for it by that name, so it is no name that Keystone takes for equal.
    const said = `Keystone's token for ${subject} is for another ${mismatch.part} than the one that is set`;
    throw new KeystoneProtocolError('protocol', said, { hint: mismatchHint });
  }
  const said = `Keystone gave ${subject} a token for another ${mismatch.part}`;
  if (mismatch.isCertain) throw new KeystoneProtocolError('protocol', said, { hint: 'ask its operator' });
  reporter.warn(`${said}, by its name; the token is not kept`);
  return false;
}

/** A token as it came, whose it is, and whether it may be kept. */
export interface ReceivedToken {
  readonly record: TokenRecord;
  readonly owner: TokenOwner;
  readonly cacheable: boolean;
}

function receiveProviderToken({ method }: LoginContext, given: ProviderToken, receivedAt: number): ReceivedToken {
  const { token, expiresAt, refreshToken, subject } = given;
  const record = { token: token.reveal(), receivedAt, expiresAt, endpoint: undefined, refresh: refreshToken?.reveal() };
  const owner = { user: subject, scope: "the identity provider's own token", method: method.name };
  return { record, owner, cacheable: true };
}

/** Remembers a promise: what it stands for is done once, when it is first asked for. */
function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  return () => (found ??= find());
}

type Asker = (tools: MethodContext) => Promise<AuthRequest | ProviderToken>;

/** Whether Keystone is asked which versions it speaks: keystoneauth's v3 types take the URL as it is. */
export function usesDiscovery(config: ResolvedConfig, method: AuthMethod): boolean {
  return !(config.text('auth-type') ?? method.name).startsWith('v3');
}

async function obtain(login: LoginContext, config: ResolvedConfig, ask: Asker): Promise<ReceivedToken> {
  const { method, reporter, deadlineMs, host, tls, user } = login;
  const url = readAuthUrl(config) ?? '';
  return withHttp(login, deadlineMs, async (http) => {
    const findEndpoint = once(() =>
      findV3Endpoint(http, url, { wantsDiscovery: usesDiscovery(config, method), warn: reporter.warn }),
    );
    const request = await ask({ host, http, tls, user, findV3Endpoint: findEndpoint, detail: reporter.debug });
    if ('token' in request) return receiveProviderToken(login, request, host.now());
    reporter.debug(`logging in ${request.subject} (${method.name})`);
    const { version, rescopeTarget, otherKeystone } = request;
    const endpoint =
      otherKeystone !== undefined
        ? await findV3Endpoint(http, otherKeystone.url, {
            wantsDiscovery: true,
            warn: reporter.warn,
            peer: otherKeystone.peer,
          })
        : version === undefined
          ? await findEndpoint()
          : replaceVersion(url, 'v3');
    const base = version === undefined ? endpoint : replaceVersion(url, version);
    const transport = request.usesNegotiate === true ? openNegotiateHttp(httpSettings(login, deadlineMs)) : http;
    const first = await sendWithFactors(login, config, request, (one) => authenticate(transport, base, one));
    // A mapping may have given that scope already, and such a token need not be exchangeable.
    const done =
      rescopeTarget === undefined || findTokenMismatch({ scope: rescopeTarget }, first.token.details) === undefined;
    if (done) return receive(login, request, endpoint, first);
    const scoped = buildRescopeRequest(request, first.token.id, rescopeTarget);
    return receive(login, { ...request, ...scoped }, endpoint, await authenticate(http, endpoint, scoped));
  });
}

/**
 * Exchanges a complete configuration for a token.
 *
 * @throws AuthRejected | AdditionalFactorRequired | KeystoneUnreachable | KeystoneProtocolError
 */
export async function requestToken(login: LoginContext, config: ResolvedConfig): Promise<ReceivedToken> {
  return obtain(login, config, (tools) => login.method.prepareRequest(config, tools));
}

/** Whose a token is. */
interface Owner {
  /** In the words of a message, with the scope: "alice on project demo". */
  readonly subject: string;
  readonly userId: string;
}

/**
 * Exchanges a token for one with another scope; what came with the former stays good for the latter.
 *
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function rescopeToken(
  login: LoginContext,
  last: TokenRecord,
  scope: Scope,
  { subject, userId }: Owner,
): Promise<ReceivedToken> {
  const { endpoint = '' } = last;
  const request = buildRescopeRequest({ subject, expected: { user: { id: userId } } }, new Secret(last.token), scope);
  const granted = await withHttp(login, login.deadlineMs, (http) => authenticate(http, endpoint, request));
  const received = receive(login, request, endpoint, granted);
  return { ...received, record: { ...received.record, refresh: last.refresh } };
}

/** A record of the cache, and the key that it is under. */
export interface CachedToken {
  readonly key: string;
  readonly record: TokenRecord;
}

/**
 * Gets the next token with what came with the last one, where the method can and nobody need be asked.
 *
 * @returns undefined where that is refused: then a whole login may still do
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function renewToken(
  login: LoginContext,
  { key, record }: CachedToken,
): Promise<ReceivedToken | undefined> {
  const { config, method, reporter, cache } = login;
  const { renewal } = method;
  if (record.refresh === undefined || renewal === undefined) return undefined;
  if (findMissingOptions(config, { ...method, listMissing: (known) => renewal.listMissing(known) }).length > 0)
    return undefined;
  const last = new Secret(record.refresh);
  try {
    return await obtain(login, config, async (tools) => {
      const request = await renewal.prepareRequest(config, tools, last);
      const next = request.refreshToken?.reveal();
      // The old one may be used up by now; if Keystone fails, the new one must not be lost.
      if (next !== undefined && next !== record.refresh) await cache.store(key, { ...record, refresh: next }, []);
      return request;
    });
  } catch (error) {
    if (!(error instanceof AuthRejected)) throw error;
    reporter.debug(`the last login cannot be renewed: ${error.message}`);
    return undefined;
  }
}

/** Whoever logs in in a browser may be logged in there as somebody else. */
function describeWhose({ details }: Token): string {
  const user = objectAt(details, 'user');
  const domain = textAt(objectAt(user, 'domain'), 'name');
  const name = textAt(user, 'name') ?? textAt(user, 'id') ?? 'nobody it names';
  return redactAndTruncate(domain === undefined ? name : `${name} (domain ${domain})`);
}

function receive(login: LoginContext, request: AuthRequest, endpoint: string, granted: IssuedToken): ReceivedToken {
  const { reporter, method, isInterim } = login;
  const { token, receivedAt, expiresAt } = granted;
  if (request.announcesOwner) reporter.info(`Keystone knows you as ${describeWhose(token)}`);
  const cacheable = judge(request, token, reporter);
  if (!token.isScoped && isInterim !== true) {
    const instead =
      request.mismatchHint === undefined
        ? 'set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME'
        : 'only Keystone can change that';
    reporter.warn(`the token has no scope, which k8s-keystone-auth refuses; ${instead}`);
  }
  const record = { token: token.id.reveal(), receivedAt, expiresAt, endpoint, refresh: request.refreshToken?.reveal() };
  const given = request.existingToken === undefined ? {} : { given: true };
  const trust = describeTlsTrust(login.tls);
  return {
    record,
    owner: { ...readTokenOwner(token.details), method: method.name, keystone: endpoint, ...given, trust },
    cacheable,
  };
}

/**
 * Whether a token of the cache can be given. The same kubectl asking for a token that it has just got means that the
 * cluster may have refused it; then Keystone is asked, once. Nobody can be asked about another provider's token.
 */
export async function isStillValid(login: LoginContext, { token, endpoint }: TokenRecord): Promise<boolean> {
  const { cache, reporter } = login;
  if (cache.handOut(token) !== 'token' || endpoint === undefined) return true;
  const alive = await withHttp(login, LIVENESS_MS, (http) => isTokenValid(http, endpoint, new Secret(token)));
  reporter.debug(alive ? 'Keystone confirms the token' : 'Keystone no longer knows the token');
  if (alive) cache.confirm(token);
  return alive;
}
