/** The SAML identity provider, which gets the password (SAML profiles, section 4.2; HTTP Basic, RFC 7617). */
import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import type { HttpResponse } from '../../shared/http/http-message.ts';
import { explainFault, explainSamlStatus, explainStatus } from './explain-provider.ts';
import type { ProviderLogin } from './explain-provider.ts';
import { ECP, readAttribute, requireMessage } from './messages.ts';
import { findFault, parseEnvelope, removeHeader } from './soap-envelope.ts';
import type { Envelope } from './soap-envelope.ts';
import { XmlError } from './xml.ts';

/** What the provider says about the user. */
export interface ProviderAnswer {
  readonly envelope: Envelope;
  /** Where it wants the answer to go. */
  readonly consumerUrl: string;
}

/**
 * Sends the request of a service provider with the user's password.
 *
 * @throws AuthRejected if the provider refuses the user
 * @throws KeystoneUnreachable | KeystoneProtocolError
 */
export async function askProvider(
  http: HttpClient,
  login: ProviderLogin & { readonly password: Secret },
  request: Envelope,
): Promise<ProviderAnswer> {
  const pair = Buffer.from(`${login.user}:${login.password.reveal()}`).toString('base64');
  const response = await http.send({
    verb: 'POST',
    url: login.url,
    peer: login.peer,
    headers: {
      accept: 'text/xml, application/xml',
      'content-type': 'text/xml; charset=utf-8',
      authorization: new Secret(`Basic ${pair}`),
    },
    body: removeHeader(request),
    // A provider may refuse a request that it has seen before.
    isSingleUse: true,
    returnsRedirect: true,
  });
  try {
    return readAnswer(response, login);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    if (response.status !== 200 || isHtml(response)) throw explainStatus(response, login);
    throw new KeystoneProtocolError(
      'protocol',
      `the answer of ${login.peer.name} at ${new URL(login.url).origin} ${error.message}`,
      { hint: `check ${login.peer.setting}, or ask its operator` },
    );
  }
}

function isHtml(response: HttpResponse): boolean {
  return /\bhtml\b/i.test(response.header('content-type') ?? '');
}

/** @throws XmlError if it is not an answer */
function readAnswer(response: HttpResponse, login: ProviderLogin): ProviderAnswer {
  const envelope = parseEnvelope(response.body);
  const fault = findFault(envelope);
  if (fault !== undefined) throw explainFault(fault, login);
  if (response.status !== 200) throw explainStatus(response, login);
  requireMessage(envelope, 'Response');
  const refusal = explainSamlStatus(envelope.body, login);
  if (refusal !== undefined) throw refusal;
  return { envelope, consumerUrl: readAttribute(envelope, [ECP, 'Response'], 'AssertionConsumerServiceURL') };
}
