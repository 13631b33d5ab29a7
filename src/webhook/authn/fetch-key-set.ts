/** Fetches the public keys of an issuer (OpenID Connect Discovery, 4). */
import type { Clock } from '../../shared/base/clock.ts';
import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { HttpClient } from '../../shared/http/http-client.ts';
import type { Peer } from '../../shared/http/peer.ts';
import { makeJwtVerifier } from '../../shared/oidc/jwt.ts';
import type { JwtVerifier } from '../../shared/oidc/jwt.ts';

export interface KeySetSource {
  readonly http: HttpClient;
  readonly issuer: string;
  readonly clock: Clock;
}

/** For both requests together; a review does not wait that long. */
const TIMEOUT_MS = 30_000;

const ISSUER: Peer = { name: 'the identity provider', setting: '--oidc-issuer-url' };

const protocolError = (message: string): KeystoneProtocolError => new KeystoneProtocolError('protocol', message);

async function fetchJson(http: HttpClient, url: string, what: string, deadlineMs: number): Promise<JsonObject> {
  const response = await http.send({ verb: 'GET', url, peer: ISSUER, isSingleUse: true, deadlineMs });
  if (response.status !== 200) {
    throw protocolError(`the identity provider answered ${response.status} for its ${what}`);
  }
  const body = parseJsonObject(response.body);
  if (body === undefined) throw protocolError(`the identity provider's ${what} is not a JSON object`);
  return body;
}

/**
 * Fetches the discovery document of an issuer, and the keys that it points to.
 *
 * @throws KeystoneProtocolError | KeystoneUnreachable
 */
export async function fetchKeySet({ http, issuer, clock }: KeySetSource): Promise<JwtVerifier> {
  const deadline = clock.monotonicMs() + TIMEOUT_MS;
  const discoveryUrl = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = await fetchJson(http, discoveryUrl, 'discovery document', deadline - clock.monotonicMs());
  // An issuer must not speak for another one (OpenID Connect Discovery, 4.3).
  if (textAt(document, 'issuer') !== issuer) throw protocolError('the discovery document is for another issuer');
  const keysUrl = textAt(document, 'jwks_uri') ?? '';
  if (!URL.canParse(keysUrl) || new URL(keysUrl).protocol !== 'https:') {
    throw protocolError('the discovery document has no https:// URL of keys');
  }
  const keySet = await fetchJson(http, keysUrl, 'key set', deadline - clock.monotonicMs());
  try {
    return makeJwtVerifier(keySet);
  } catch {
    throw protocolError("the identity provider's key set contains no keys");
  }
}
