/** A login with SAML 2.0 for programs: the profile "Enhanced Client or Proxy" (SAML profiles, section 4.2). */
import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import type { Secret } from '../../shared/base/secret.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import { askProvider } from './identity-provider.ts';
import type { ProviderLogin } from './explain-provider.ts';
import { fetchAuthnRequest, openSession, reportMismatch } from './service-provider.ts';
import type { ProtectedResource } from './service-provider.ts';

/**
 * Logs in at the web server of Keystone with a password that only the identity provider gets.
 *
 * @returns the headers with which the web server knows the user
 * @throws AuthRejected | KeystoneUnreachable | KeystoneProtocolError
 */
export async function logInWithEcp(
  http: HttpClient,
  resource: ProtectedResource,
  login: ProviderLogin & { readonly password: Secret },
): Promise<Readonly<Record<string, Secret>>> {
  const request = await fetchAuthnRequest(http, resource);
  const answer = await askProvider(http, login, request.envelope);
  if (answer.consumerUrl === request.consumerUrl) return openSession(http, resource, request, answer.envelope);
  await reportMismatch(http, request);
  throw new KeystoneProtocolError(
    'protocol',
    'the identity provider answers to another URL than the one at which Keystone wants the answer; it was not sent',
    { hint: `check ${login.peer.setting}: the provider may know this Keystone under another address` },
  );
}
