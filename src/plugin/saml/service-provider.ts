/** The web server in front of Keystone, which is the service provider of SAML (SAML profiles, section 4.2). */
import { AuthRejected, KeystoneProtocolError, PluginError } from '../../shared/base/errors.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { redactAndTruncate } from '../../shared/base/text.ts';
import { describeRedirectTarget } from '../../shared/http/explain-network-error.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import type { HttpResponse } from '../../shared/http/http-message.ts';
import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import { explainResponse } from '../../shared/keystone/explain-response.ts';
import { ECP, findBlock, PAOS, PAOS_TYPE, readAttribute, requireMessage } from './messages.ts';
import { addCookies, makeCookieHeaders } from './session-cookies.ts';
import type { Cookies } from './session-cookies.ts';
import { makeFault, makeHeaderBlock, parseEnvelope, replaceHeaderBlocks } from './soap-envelope.ts';
import type { Envelope } from './soap-envelope.ts';
import { XmlError } from './xml.ts';

/** What the web server gives to those who are logged in. */
export interface ProtectedResource {
  /** The v3 endpoint of Keystone, without a trailing slash. */
  readonly endpoint: string;
  /** The request that needs the session. */
  readonly request: AuthRequest;
}

/** The request of the web server that the identity provider answers. */
export interface AuthnRequest {
  readonly envelope: Envelope;
  /** Where the answer goes; of the origin of Keystone. */
  readonly consumerUrl: string;
  readonly relayState: string | undefined;
  readonly cookies: Cookies;
}

/** Statuses of a proxy or a server that may do better later. */
const UNAVAILABLE = [429, 502, 503, 504];

function rejectServer(reason: string): never {
  throw new KeystoneProtocolError('method-not-offered', `Keystone offers no SAML logins to programs (ECP): ${reason}`, {
    hint: 'ask its operator to enable ECP, or use v3websso, which logs in with a browser',
  });
}

/**
 * Asks for the resource without a login.
 *
 * @returns what the identity provider must answer
 * @throws KeystoneProtocolError if the web server asks for no SAML login, or wants the answer at another origin
 */
export async function fetchAuthnRequest(
  http: HttpClient,
  { endpoint, request }: ProtectedResource,
): Promise<AuthnRequest> {
  const url = `${endpoint}/${request.path}`;
  const response = await http.send({
    verb: 'GET',
    url,
    // JSON for errors of Keystone itself.
    headers: { accept: `application/json, ${PAOS_TYPE}`, paos: `ver="${PAOS}";"${ECP}"` },
    returnsRedirect: true,
  });
  const { status } = response;
  if (status >= 300 && status <= 399) {
    rejectServer(`it redirects to ${describeRedirectTarget(url, response.header('location'))}, as for a browser`);
  }
  if (status === 401) rejectServer('it answers with status 401 instead of a SAML request');
  if (status !== 200) throw explainResponse(request, endpoint, response);
  try {
    return readAuthnRequest(response, new URL(url).origin);
  } catch (error) {
    if (error instanceof XmlError) return rejectServer(`its answer ${error.message}`);
    throw error;
  }
}

/** @throws XmlError if it is no such request */
function readAuthnRequest(response: HttpResponse, origin: string): AuthnRequest {
  const envelope = parseEnvelope(response.body);
  requireMessage(envelope, 'AuthnRequest');
  const consumerUrl = readAttribute(envelope, [PAOS, 'Request'], 'responseConsumerURL');
  const relayState = findBlock(envelope, ECP, 'RelayState')?.text;
  const consumer = URL.parse(consumerUrl) ?? undefined;
  if (consumer?.origin === origin && consumer.username === '') {
    return { envelope, consumerUrl, relayState, cookies: addCookies(new Map(), response) };
  }
  const where = consumer === undefined ? 'no valid URL' : redactAndTruncate(consumer.origin);
  throw new KeystoneProtocolError(
    'protocol',
    `Keystone at ${origin} wants the answer of the identity provider at ${where}; nothing was sent there`,
    { hint: 'set OS_AUTH_URL to the address that the operator uses for SAML, or ask the operator' },
  );
}

/** Tells the web server that it gets no answer (SAML profiles, section 4.2.4.4). What it says does not matter. */
export async function reportMismatch(http: HttpClient, { consumerUrl, cookies }: AuthnRequest): Promise<void> {
  const body = makeFault('the identity provider answers to another responseConsumerURL');
  try {
    await postToConsumer(http, { consumerUrl, cookies, body });
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
  }
}

/**
 * Forwards the answer of the identity provider, as it is.
 *
 * @returns the headers of the session, for the origin of Keystone
 * @throws AuthRejected if the web server does not accept the answer
 */
export async function openSession(
  http: HttpClient,
  { endpoint, request }: ProtectedResource,
  { consumerUrl, relayState, cookies: firstCookies }: AuthnRequest,
  answer: Envelope,
): Promise<Readonly<Record<string, Secret>>> {
  const blocks = relayState === undefined ? '' : makeHeaderBlock(ECP, 'RelayState', relayState);
  const body = replaceHeaderBlocks(answer, blocks);
  const response = await postToConsumer(http, { consumerUrl, cookies: firstCookies, body });
  const { status } = response;
  if (UNAVAILABLE.includes(status)) throw explainResponse(request, endpoint, response);
  if (status < 400) return makeCookieHeaders(addCookies(firstCookies, response));
  throw new AuthRejected(
    'auth-rejected',
    `Keystone does not accept the answer of the identity provider for ${request.subject} ` +
      `(status ${status}): it may not trust the provider, or a clock is wrong`,
    { hint: 'ask its operator; the log of its web server has the reason' },
  );
}

function postToConsumer(
  http: HttpClient,
  { consumerUrl, cookies, body }: Pick<AuthnRequest, 'consumerUrl' | 'cookies'> & { readonly body: string },
): Promise<HttpResponse> {
  return http.send({
    verb: 'POST',
    url: consumerUrl,
    headers: { 'content-type': PAOS_TYPE, ...makeCookieHeaders(cookies) },
    body,
    // An assertion works once.
    isSingleUse: true,
    // The session is for the resource, wherever the web server would send a browser next.
    returnsRedirect: true,
  });
}
