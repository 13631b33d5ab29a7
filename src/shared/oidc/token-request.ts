/** The token request and its response (RFC 6749, sections 3.2 and 5). */
import { KeystoneProtocolError } from '../base/errors.ts';
import { parseHeaderToken, Secret } from '../base/secret.ts';
import { numberAt, parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { HttpClient } from '../http/http-client.ts';
import { keepCredibleSkew } from '../http/http-message.ts';
import type { HttpRequest } from '../http/http-message.ts';
import type { Provider } from './provider.ts';
import type { Endpoint, EndpointName } from './endpoint.ts';
import { explainOAuthResponse } from './explain-oauth-error.ts';
import { readUnverifiedClaims } from './jwt.ts';

/** The client that requests tokens; a public client has no secret. */
export interface OAuthClient {
  readonly id: string;
  readonly secret: Secret | undefined;
}

/** Fields of a form; unset fields are omitted. */
export type FormFields = Readonly<Record<string, string | Secret | undefined>>;

/** The tokens that a provider issues for a grant. */
export interface OAuthTokens {
  readonly accessToken: Secret | undefined;
  /** OpenID Connect Core, 3.1.3.3. */
  readonly idToken: Secret | undefined;
  readonly refreshToken: Secret | undefined;
  /** Lifetime of the access token from `receivedAt`, in ms. */
  readonly lifetimeMs: number | undefined;
  /** ms since 1970, UTC, by this machine's clock. */
  readonly receivedAt: number;
  /** How far the provider's clock is ahead of ours, in ms. */
  readonly serverAheadMs: number;
}

/** A form and the client that sends it. */
export interface OAuthTokenRequest {
  readonly client: OAuthClient;
  readonly form: FormFields;
  /** Who logs in, as text for messages. */
  readonly subject: string;
  /** The form contains something that works once, such as a code or a refresh token. */
  readonly isSingleUse?: boolean;
  /** Repeated until the user has done something elsewhere. */
  readonly isPoll?: boolean;
}

/** Encodes text as in a form, for Basic (RFC 6749, section 2.3.1); keeps "~", which some servers do not decode. */
function encodeForBasic(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Whether the provider requires the client's secret in the form, not by Basic (OpenID Connect Discovery, 3). */
function wantsSecretInForm(provider: Provider): boolean {
  const methods = provider.listAdvertised('token_endpoint_auth_methods_supported') ?? [];
  return methods.includes('client_secret_post') && !methods.includes('client_secret_basic');
}

function encodeForm(form: FormFields): string {
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(form)) {
    if (value !== undefined) fields.append(name, typeof value === 'string' ? value : value.reveal());
  }
  return fields.toString();
}

function authenticateClient(
  provider: Provider,
  { id, secret }: OAuthClient,
): { form: FormFields; headers: HttpRequest['headers'] } {
  if (secret === undefined) return { form: { client_id: id }, headers: undefined };
  if (wantsSecretInForm(provider)) return { form: { client_id: id, client_secret: secret }, headers: undefined };
  const pair = `${encodeForBasic(id)}:${encodeForBasic(secret.reveal())}`;
  return {
    form: {},
    headers: { authorization: new Secret(`Basic ${Buffer.from(pair).toString('base64')}`) },
  };
}

/**
 * Posts a form to an endpoint, with the client authenticated as the provider requires (RFC 6749, section 2.3).
 *
 * @returns the JSON of the answer, when it arrived (ms since 1970, UTC), and how far the server's clock is ahead, in ms
 * @throws PluginError if the provider refuses, or does not follow its protocol
 */
export async function postForm(
  http: HttpClient,
  provider: Provider,
  name: EndpointName,
  { client, form, subject, isSingleUse, isPoll }: OAuthTokenRequest,
): Promise<{ body: JsonObject; receivedAt: number; serverAheadMs: number | undefined }> {
  const endpoint = provider.getEndpoint(name);
  const authentication = authenticateClient(provider, client);
  const response = await http.send({
    verb: 'POST',
    url: endpoint.url,
    peer: endpoint.peer,
    isForm: true,
    body: encodeForm({ ...authentication.form, ...form }),
    ...(authentication.headers === undefined ? {} : { headers: authentication.headers }),
    ...(isSingleUse ? { isSingleUse: true } : {}),
    ...(isPoll ? { isPoll: true } : {}),
  });
  const body = parseJsonObject(response.body);
  const isSuccess =
    response.status >= 200 && response.status <= 299 && body !== undefined && !Object.hasOwn(body, 'error');
  if (!isSuccess) throw explainOAuthResponse(endpoint, response, subject);
  const serverAheadMs = response.header('date') === undefined ? undefined : response.serverAheadMs;
  return { body, receivedAt: response.respondedAt, serverAheadMs };
}

/** How long a response may be on its way, in ms, without being taken for a clock that is off. */
const TRANSIT_MS = 30_000;

/**
 * Estimates how far the clock of a provider is ahead of ours, for responses without `Date`, such as Keycloak's: the
 * provider has subtracted its time from the expiry of the token to get the lifetime.
 */
function estimateServerAhead(
  { accessToken, lifetimeMs }: Pick<OAuthTokens, 'accessToken' | 'lifetimeMs'>,
  receivedAt: number,
): number {
  const expiresAt = accessToken === undefined ? undefined : readUnverifiedClaims(accessToken.reveal())?.expiresAt;
  if (expiresAt === undefined || lifetimeMs === undefined) return 0;
  return keepCredibleSkew(expiresAt - lifetimeMs - receivedAt, TRANSIT_MS);
}

function readToken(body: JsonObject, name: string, { peer }: Endpoint): Secret | undefined {
  const text = textAt(body, name);
  if (text === undefined) return undefined;
  const token = parseHeaderToken(text);
  if (token !== undefined) return token;
  throw new KeystoneProtocolError('protocol', `${peer.name} sent an ${name} that is not valid in an HTTP header`, {
    hint: 'ask its operator; up to 16384 printable ASCII characters are valid',
  });
}

/** Reads a positive number of seconds, which some providers send as text. */
export function readSeconds(body: JsonObject, name: string): number | undefined {
  const text = textAt(body, name);
  const seconds = text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : numberAt(body, name);
  return seconds === undefined || seconds <= 0 ? undefined : Math.min(seconds, 10_000_000_000);
}

/**
 * Requests tokens from the token endpoint.
 *
 * @throws OAuthError if the provider rejects the request
 * @throws KeystoneProtocolError | KeystoneUnreachable
 */
export async function requestOAuthTokens(
  http: HttpClient,
  provider: Provider,
  request: OAuthTokenRequest,
): Promise<OAuthTokens> {
  const { body, receivedAt, serverAheadMs } = await postForm(http, provider, 'token', request);
  const endpoint = provider.getEndpoint('token');
  const seconds = readSeconds(body, 'expires_in');
  const tokens = {
    accessToken: readToken(body, 'access_token', endpoint),
    idToken: readToken(body, 'id_token', endpoint),
    refreshToken: readToken(body, 'refresh_token', endpoint),
    lifetimeMs: seconds === undefined ? undefined : seconds * 1000,
  };
  return { ...tokens, receivedAt, serverAheadMs: serverAheadMs ?? estimateServerAhead(tokens, receivedAt) };
}
