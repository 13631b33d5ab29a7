/** The token request and its answer (RFC 6749, 3.2 and 5). */
import { KeystoneProtocolError } from '../base/errors.ts';
import { parseHeaderToken, Secret } from '../base/secret.ts';
import { numberAt, parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { HttpClient } from '../http/http-client.ts';
import type { HttpRequest } from '../http/http-message.ts';
import type { Provider } from './provider.ts';
import type { Endpoint, EndpointName } from './endpoint.ts';
import { explainOAuthResponse } from './explain-oauth-error.ts';

/** Who asks: a public client has no secret. */
export interface OAuthClient {
  readonly id: string;
  readonly secret: Secret | undefined;
}

/** Fields of a form, the unset ones left out. */
export type FormFields = Readonly<Record<string, string | Secret | undefined>>;

/** What a provider gives for a grant. */
export interface OAuthTokens {
  readonly accessToken: Secret | undefined;
  /** OpenID Connect Core, 3.1.3.3. */
  readonly idToken: Secret | undefined;
  readonly refreshToken: Secret | undefined;
  /** That the access token lives from when it was received, in ms. */
  readonly lifetimeMs: number | undefined;
  /** ms since 1970, UTC, by this machine's clock. */
  readonly receivedAt: number;
  /** How far the provider's clock is ahead of ours, in ms. */
  readonly serverAheadMs: number;
}

/** What a request is about, beside its form. */
export interface OAuthTokenRequest {
  readonly client: OAuthClient;
  readonly form: FormFields;
  /** Who logs in, in the words of a message. */
  readonly subject: string;
  /** It holds what works once, such as a code or a refresh token. */
  readonly isSingleUse?: boolean;
  /** It is asked again and again, until a person has done something elsewhere. */
  readonly isPoll?: boolean;
}

/** As a form would write it, before it enters the header (RFC 6749, 2.3.1); "~" stays, which not all servers decode. */
function encodeForBasic(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * Whether the provider wants the client's secret in the form only (OpenID Connect Discovery, 3); else Basic will do.
 */
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

function showClient(
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

/** Posts a form to one of the provider's endpoints, the client shown as the provider wants it. */
export async function postForm(
  http: HttpClient,
  provider: Provider,
  name: EndpointName,
  { client, form, subject, isSingleUse, isPoll }: OAuthTokenRequest,
): Promise<{ body: JsonObject; receivedAt: number; serverAheadMs: number }> {
  const endpoint = provider.getEndpoint(name);
  const shown = showClient(provider, client);
  const answer = await http.send({
    verb: 'POST',
    url: endpoint.url,
    peer: endpoint.peer,
    isForm: true,
    body: encodeForm({ ...shown.form, ...form }),
    ...(shown.headers === undefined ? {} : { headers: shown.headers }),
    ...(isSingleUse ? { isSingleUse: true } : {}),
    ...(isPoll ? { isPoll: true } : {}),
  });
  const body = parseJsonObject(answer.body);
  const given = answer.status >= 200 && answer.status <= 299 && body !== undefined && !Object.hasOwn(body, 'error');
  if (!given) throw explainOAuthResponse(endpoint, answer, subject);
  return { body, receivedAt: answer.respondedAt, serverAheadMs: answer.serverAheadMs };
}

function readToken(body: JsonObject, name: string, { peer }: Endpoint): Secret | undefined {
  const text = textAt(body, name);
  if (text === undefined) return undefined;
  const token = parseHeaderToken(text);
  if (token !== undefined) return token;
  throw new KeystoneProtocolError('protocol', `${peer.name} sent an ${name} that no HTTP header can carry`, {
    hint: 'ask its operator; up to 16384 printable ASCII characters are valid',
  });
}

/** A positive number of seconds, which some providers write as a text. */
export function readSeconds(body: JsonObject, name: string): number | undefined {
  const text = textAt(body, name);
  const seconds = text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : numberAt(body, name);
  return seconds === undefined || seconds <= 0 ? undefined : Math.min(seconds, 10_000_000_000);
}

/**
 * Asks the token endpoint for tokens.
 *
 * @throws OAuthRefusal when the provider refuses
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
  return {
    accessToken: readToken(body, 'access_token', endpoint),
    idToken: readToken(body, 'id_token', endpoint),
    refreshToken: readToken(body, 'refresh_token', endpoint),
    lifetimeMs: seconds === undefined ? undefined : seconds * 1000,
    receivedAt,
    serverAheadMs,
  };
}
