/** Explains why a SAML identity provider did not log a user in. */
import { AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../../shared/base/errors.ts';
import type { PluginError } from '../../shared/base/errors.ts';
import { redactAndTruncate } from '../../shared/base/text.ts';
import { describeRedirectTarget } from '../../shared/http/explain-network-error.ts';
import type { HttpResponse } from '../../shared/http/http-message.ts';
import type { Peer } from '../../shared/http/peer.ts';
import { SAML_PROTOCOL } from './messages.ts';
import type { Fault } from './soap-envelope.ts';
import type { XmlElement } from './xml.ts';

/** The identity provider, and who logs in. */
export interface ProviderLogin {
  readonly url: string;
  readonly peer: Peer;
  readonly user: string;
}

const SUCCESS = 'urn:oasis:names:tc:SAML:2.0:status:Success';
const EXAMPLE = 'https://idp.example.com/idp/profile/SAML2/SOAP/ECP';
const CHECK_PASSWORD = 'check OS_USERNAME and OS_PASSWORD, which are those of the identity provider, not of Keystone';
const CHECK_OR_ASK = 'check OS_USERNAME and OS_PASSWORD of the identity provider, or ask its operator';

const quote = (text: string): string => redactAndTruncate(text.replaceAll(/\s+/g, ' ')).replace(/\.$/, '');

/** Explains a fault: one of the server is not a refusal, because the same request may succeed later (SOAP 1.1, 4.4.1). */
export function explainFault({ isOfServer, reason }: Fault, { peer, user }: ProviderLogin): PluginError {
  const why = quote(reason) || 'it does not say why';
  if (isOfServer) {
    return new KeystoneUnreachable('unavailable', `${peer.name} failed to log in ${user}: ${why}`, {
      hint: 'try again later, or ask its operator',
    });
  }
  return new AuthRejected('auth-rejected', `${peer.name} refused the login of ${user}: ${why}`, {
    hint: CHECK_OR_ASK,
  });
}

const childOf = (parent: XmlElement | undefined, name: string): XmlElement | undefined =>
  parent?.children.find((child) => child.name === `{${SAML_PROTOCOL}}${name}`);

/** The last part of a status such as `urn:oasis:names:tc:SAML:2.0:status:AuthnFailed`. */
const shorten = (status: string): string => status.slice(status.lastIndexOf(':') + 1);

/**
 * Explains the status of a SAML response (SAML core, section 3.2.2.1).
 *
 * @param body of its envelope
 * @returns undefined if it is a success
 */
export function explainSamlStatus(body: XmlElement, { peer, user }: ProviderLogin): PluginError | undefined {
  const status = childOf(childOf(body, 'Response'), 'Status');
  if (status === undefined) return undefined;
  const code = childOf(status, 'StatusCode');
  const value = code?.attributes.get('Value') ?? '';
  if (value === SUCCESS) return undefined;
  const detail = childOf(code, 'StatusCode')?.attributes.get('Value');
  const texts = [shorten(detail ?? value), childOf(status, 'StatusMessage')?.text ?? ''].filter((text) => text !== '');
  return new AuthRejected('auth-rejected', `${peer.name} refused the login of ${user}: ${quote(texts.join(', '))}`, {
    hint: CHECK_OR_ASK,
  });
}

function explain401(response: HttpResponse, { url, peer, user }: ProviderLogin): PluginError {
  const { origin } = new URL(url);
  const challenge = response.header('www-authenticate');
  if (challenge !== undefined && !/\bbasic\b/i.test(challenge)) {
    const [scheme = 'another login'] = challenge.trim().split(/\s/);
    return new AuthRejected(
      'method-not-offered',
      `${peer.name} at ${origin} takes no password here: it wants ${quote(scheme)}`,
      {
        hint: `check ${peer.setting}, or ask its operator for the URL that takes passwords (HTTP Basic)`,
      },
    );
  }
  return new AuthRejected(
    'auth-rejected',
    `${peer.name} at ${origin} refused ${user}: wrong user name or password, or a locked account`,
    { hint: CHECK_PASSWORD },
  );
}

/** Explains an answer that is no SAML message. */
export function explainStatus(response: HttpResponse, login: ProviderLogin): PluginError {
  const { status } = response;
  const { url, peer, user } = login;
  const { origin } = new URL(url);
  if (status === 401) return explain401(response, login);
  if (status === 403) {
    return new AuthRejected('auth-rejected', `${peer.name} at ${origin} forbids the login of ${user}`, {
      hint: 'ask its operator',
    });
  }
  if (status === 429 || status >= 500) {
    const [code, what] =
      status === 429
        ? (['rate-limited', 'limits the rate of logins'] as const)
        : (['unavailable', `failed with error ${status}`] as const);
    const after = response.header('retry-after');
    const again = after === undefined ? '' : `; it says Retry-After: ${redactAndTruncate(after)}`;
    return new KeystoneUnreachable(code, `${peer.name} ${what}`, { hint: `try again later${again}` });
  }
  const target = describeRedirectTarget(url, response.header('location'));
  const isRedirect = status >= 300 && status <= 399;
  const html = /\bhtml\b/i.test(response.header('content-type') ?? '') && status === 200;
  const what = isRedirect
    ? `redirects to ${target}; the password was not sent there`
    : `answers with ${html ? 'HTML' : `status ${status}`}, not with a SAML message`;
  return new KeystoneProtocolError(isRedirect ? 'redirect-refused' : 'protocol', `${peer.name} at ${origin} ${what}`, {
    hint: `check ${peer.setting}: it must be the URL for programs (ECP), such as ${EXAMPLE}`,
  });
}
