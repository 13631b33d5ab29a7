/** OAuth 2.0 with Keystone as authorization server ("OS-OAUTH2"): the access token is a Keystone token. */
import { readCredentialUrl } from '../../shared/keystone/auth-url.ts';
import type { Option, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { listUnset } from '../config/resolve-config.ts';
import { listMissingScope, resolveScope } from '../config/resolve-scope.ts';
import { listScopeFields } from '../../shared/keystone/scope.ts';
import { AuthRejected } from '../../shared/base/errors.ts';
import { parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { AuthRequest, StatusExplanation } from '../../shared/keystone/auth-request.ts';
import type { ExpectedToken } from '../../shared/keystone/verify-token.ts';
import type { HttpRequest } from '../../shared/http/http-message.ts';
import type { Peer } from '../../shared/http/peer.ts';
import { parseTokenId } from '../../shared/keystone/token.ts';
import { explainOAuthResponse, OAuthError } from '../../shared/oidc/explain-oauth-error.ts';
import type { MethodContext } from './auth-method.ts';
import { buildValidationRequest } from './existing-token.ts';

const EXAMPLE = 'https://keystone.example.com:5000/v3/OS-OAUTH2/token';

/** The options of both OAuth 2.0 methods. */
export const OAUTH2_OPTIONS: readonly Option[] = [
  {
    name: 'oauth2-endpoint',
    cacheKey: 'trust',
    group: 'OAuth 2.0 at Keystone',
    env: ['OS_OAUTH2_ENDPOINT'],
    help: "URL of Keystone's token endpoint, if it is not /v3/OS-OAUTH2/token",
    trustSensitive: true,
  },
  {
    name: 'oauth2-client-id',
    cacheKey: 'identity',
    group: 'OAuth 2.0 at Keystone',
    env: ['OS_OAUTH2_CLIENT_ID'],
    help: 'ID of the application credential or, with a client certificate, of the user',
    prompt: 'OAuth 2.0 client ID',
  },
];

function readEndpoint(config: ResolvedConfig): string | undefined {
  return readCredentialUrl(config, 'oauth2-endpoint', EXAMPLE)?.href;
}

/** Lists the missing options that both methods need. */
export function listMissingOAuth2Client(config: ResolvedConfig): OptionName[] {
  return [...listMissingScope(config), ...listUnset(config, 'oauth2-client-id')];
}

/** Lists the client and the scope as fields of a cache key. */
export function identifyOAuth2Client(config: ResolvedConfig): (string | undefined)[] {
  return [readEndpoint(config), config.text('oauth2-client-id'), ...listScopeFields(resolveScope(config))];
}

/** An OAuth 2.0 client: how it authenticates, and who the token must belong to. */
export interface OAuth2Client {
  readonly subject: string;
  readonly form: Readonly<Record<string, string>>;
  readonly headers?: NonNullable<HttpRequest['headers']>;
  /** For the error "invalid_client" (RFC 6749, section 5.2). */
  readonly invalidClient: StatusExplanation;
  /** What the token must match, in addition to the scope. */
  readonly expected: ExpectedToken;
}

/**
 * Gets the access token and prepares the request that validates it: its `expires_in` does not depend on the token.
 *
 * @throws PluginError when Keystone refuses the client
 */
export async function prepareOAuth2Request(
  config: ResolvedConfig,
  tools: MethodContext,
  { subject, form, headers, invalidClient, expected }: OAuth2Client,
): Promise<AuthRequest> {
  const url = readEndpoint(config) ?? `${await tools.findV3Endpoint()}/OS-OAUTH2/token`;
  const setting = config.origin(config.has('oauth2-endpoint') ? 'oauth2-endpoint' : 'keystone-url');
  const peer: Peer = { name: 'Keystone', setting };
  const response = await tools.http.send({
    verb: 'POST',
    url,
    peer,
    isForm: true,
    body: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
    ...(headers === undefined ? {} : { headers }),
  });
  const text = response.status === 200 ? textAt(parseJsonObject(response.body), 'access_token') : undefined;
  if (text === undefined) {
    const error = explainOAuthResponse({ url, peer }, response, subject);
    if (!(error instanceof OAuthError) || error.reason !== 'invalid_client') throw error;
    throw new AuthRejected(invalidClient.code, invalidClient.message, {
      hint: invalidClient.hint,
      requestId: error.requestId,
    });
  }
  const token = parseTokenId(text);
  return {
    ...buildValidationRequest(token),
    expected: { ...expected, scope: resolveScope(config) },
    mismatchHint: 'this auth method has one scope: unset the project, domain or system, or use another auth method',
    subject,
  };
}
