/** Resolves an identity provider's endpoints, from the settings or from its discovery document. */
import { AuthRejected, ConfigError, KeystoneProtocolError } from '../base/errors.ts';
import { isPlaintextRemote, parseWebUrl } from '../http/peer.ts';
import { listAt, parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { HttpClient } from '../http/http-client.ts';
import { redactAndTruncate } from '../base/text.ts';
import type { Endpoint, EndpointName } from './endpoint.ts';
import { explainOAuthResponse } from './explain-oauth-error.ts';

/** A valid URL from the settings, and its origin in a message. */
export interface ConfiguredUrl {
  readonly url: string;
  readonly origin: string;
}

/** The settings of a provider; an endpoint in the settings overrides the document's. */
export interface ProviderSettings {
  readonly discovery: ConfiguredUrl | undefined;
  readonly endpoints: Readonly<Partial<Record<EndpointName, ConfiguredUrl>>>;
  /** Whether http:// to another machine is accepted. */
  readonly allowHttp: boolean;
}

/** What a grant requires of a provider. */
export interface GrantRequirements {
  /** `grant_type`; rejected if the provider lists only others. */
  readonly grant: string;
  readonly endpoints: readonly EndpointName[];
}

/** A provider with resolved endpoints. */
export interface Provider {
  /** From the discovery document; undefined without one. */
  readonly issuer: string | undefined;
  /** @throws ConfigError if {@link GrantRequirements} did not include it and it is unknown */
  getEndpoint(name: EndpointName): Endpoint;
  /** Whether the discovery document sets a flag, such as `authorization_response_iss_parameter_supported`. */
  readonly advertises: (name: string) => boolean;
  /** A list of the discovery document, such as `code_challenge_methods_supported`; undefined without it. */
  listAdvertised(name: string): readonly string[] | undefined;
}

/** The provider in messages. */
export const PROVIDER_NAME = 'the identity provider';

function endpointAt({ url, origin }: ConfiguredUrl): Endpoint {
  return { url, peer: { name: PROVIDER_NAME, setting: origin } };
}

function protocolError(message: string, { peer }: Endpoint): KeystoneProtocolError {
  return new KeystoneProtocolError('protocol', message, { hint: `check ${peer.setting}, or ask its operator` });
}

/**
 * Checks that the document's issuer has the origin of its URL. RFC 8414, section 3.3 requires the whole issuer in the
 * URL; providers with one document for many tenants violate that, so the path may differ.
 */
function readIssuer(document: JsonObject, at: Endpoint): string {
  const issuer = textAt(document, 'issuer');
  if (issuer === undefined || !URL.canParse(issuer)) {
    throw protocolError('the discovery document of the identity provider has no issuer', at);
  }
  const { origin } = new URL(issuer);
  if (origin !== new URL(at.url).origin) {
    throw protocolError(
      `the discovery document at ${new URL(at.url).origin} belongs to ${redactAndTruncate(origin)}`,
      at,
    );
  }
  return issuer;
}

async function discover(http: HttpClient, at: Endpoint): Promise<JsonObject> {
  const response = await http.send({ verb: 'GET', url: at.url, peer: at.peer });
  const document = response.status === 200 ? parseJsonObject(response.body) : undefined;
  if (document !== undefined) return document;
  const error = explainOAuthResponse(at, response, 'the request for its endpoints');
  if (error.code !== 'protocol' || new URL(at.url).pathname.includes('/.well-known/')) throw error;
  throw new KeystoneProtocolError('protocol', error.message, {
    hint: `set ${at.peer.setting} to the whole URL, which ends with /.well-known/openid-configuration`,
  });
}

/** @returns undefined if the document does not contain it */
function endpointIn(document: JsonObject, name: EndpointName, at: Endpoint, allowHttp: boolean): Endpoint | undefined {
  const text = textAt(document, `${name}_endpoint`);
  if (text === undefined) return undefined;
  const url = parseWebUrl(text);
  if (url === undefined) throw protocolError(`the discovery document's ${name}_endpoint cannot be used`, at);
  if (isPlaintextRemote(url) && !allowHttp) {
    throw new KeystoneProtocolError(
      'protocol',
      `the discovery document's ${name}_endpoint is http://: the credential would cross the network unencrypted`,
      { hint: 'ask its operator for https://, or use --allow-http if you accept that' },
    );
  }
  url.hash = '';
  return { url: url.href, peer: at.peer };
}

function checkGrant(document: JsonObject, grant: string): void {
  const offered = listAt(document, 'grant_types_supported').filter((value) => typeof value === 'string');
  // Many providers omit the list; the RFC's default for that would exclude most grants.
  if (offered.length === 0 || offered.includes(grant)) return;
  throw new AuthRejected('method-not-offered', `the identity provider does not support this auth method (${grant})`, {
    hint: `it offers ${redactAndTruncate(offered.join(', '))}; set OS_AUTH_TYPE to another auth method`,
  });
}

/**
 * Resolves what a grant requires of a provider. The discovery document (OpenID Connect Discovery, section 4; RFC 8414)
 * is read only if an endpoint is not set.
 *
 * @throws ConfigError if neither is set
 * @throws AuthRejected if the provider does not offer the grant
 * @throws KeystoneProtocolError for an invalid document
 * @throws KeystoneUnreachable
 */
export async function resolveProvider(
  http: HttpClient,
  settings: ProviderSettings,
  requirements: GrantRequirements,
): Promise<Provider> {
  const { discovery, allowHttp } = settings;
  const resolved = new Map<EndpointName, Endpoint>();
  for (const name of requirements.endpoints) {
    const set = settings.endpoints[name];
    if (set !== undefined) resolved.set(name, endpointAt(set));
  }
  const unresolved = requirements.endpoints.filter((name) => !resolved.has(name));
  const at = unresolved.length === 0 || discovery === undefined ? undefined : endpointAt(discovery);
  const document = at === undefined ? undefined : await discover(http, at);
  const issuer = document === undefined || at === undefined ? undefined : readIssuer(document, at);
  if (document !== undefined && at !== undefined) {
    checkGrant(document, requirements.grant);
    for (const name of unresolved) {
      const endpoint = endpointIn(document, name, at, allowHttp);
      if (endpoint === undefined) {
        throw new AuthRejected(
          'method-not-offered',
          `the discovery document of the identity provider has no ${name}_endpoint`,
          {
            hint: 'set OS_AUTH_TYPE to another auth method, or ask its operator',
          },
        );
      }
      resolved.set(name, endpoint);
    }
  }
  return {
    issuer,
    getEndpoint(name) {
      const endpoint = resolved.get(name);
      if (endpoint !== undefined) return endpoint;
      throw new ConfigError(`the ${name} endpoint of the identity provider is unknown`, {
        hint: 'set OS_DISCOVERY_ENDPOINT',
      });
    },
    advertises: (name) => document !== undefined && Object.hasOwn(document, name) && document[name] === true,
    listAdvertised(name) {
      if (document === undefined || !Array.isArray(document[name])) return undefined;
      return listAt(document, name).filter((value) => typeof value === 'string');
    },
  };
}
