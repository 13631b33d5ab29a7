/** Revokes a token at the Keystone that issued it. */
import { PluginError } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';
import { isPlaintextRemote } from '../../shared/http/peer.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { revokeToken } from '../../shared/keystone/client.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import type { TokenMetadata } from '../cache/token-metadata.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { withHttp } from './http-context.ts';
import type { HttpContext } from './http-context.ts';
import type { LoginContext } from './login-context.ts';
import { restoreTlsSettings } from './tls-trust.ts';

/** What happened to a token. */
export type RevocationResult =
  /** Keystone revoked it. */
  | { readonly kind: 'revoked' }
  /** It had expired, or Keystone no longer knew it. */
  | { readonly kind: 'ended' }
  /** It came from a setting, so the plugin must not revoke it. */
  | { readonly kind: 'given' }
  /** It is an identity provider's own token, which Keystone does not know. */
  | { readonly kind: 'foreign' }
  /** It is a JWT for a cluster, which nobody can revoke. */
  | { readonly kind: 'exchanged' }
  | { readonly kind: 'not-revoked'; readonly because: string };

/** A token to revoke. */
export interface RevocationRequest {
  readonly record: TokenRecord;
  /** Undefined if the cache holds no metadata for it. */
  readonly metadata: TokenMetadata | undefined;
  /** The current settings, if they can be used. */
  readonly login: LoginContext | undefined;
  /** Whether the current settings lead to this token. */
  readonly isCurrentLogin: boolean;
  readonly httpContext: Omit<HttpContext, 'tls'>;
  /** How long Keystone may take, in ms. */
  readonly deadlineMs: number;
}

const notRevoked = (because: string): RevocationResult => ({ kind: 'not-revoked', because });

/** Whether a token came from a setting, such as OS_TOKEN; undefined if that is unknown. */
function isFromSetting({ record, metadata, login, isCurrentLogin }: RevocationRequest): boolean | undefined {
  const isSetting = OPTIONS.some(({ name }) => login?.config.secret(name)?.reveal() === record.token);
  if (isSetting || metadata?.isExistingToken === true) return true;
  return metadata !== undefined || isCurrentLogin ? false : undefined;
}

/**
 * Chooses the TLS settings, or returns why the token must not be sent: it is sent only under the conditions of its
 * login.
 */
function chooseTrust(
  { metadata, login, isCurrentLogin, httpContext }: RevocationRequest,
  endpoint: URL,
): TlsSettings | string {
  const url = login === undefined ? undefined : readAuthUrl(login.config);
  const isSameOrigin = url !== undefined && new URL(url).origin === endpoint.origin;
  if (isPlaintextRemote(endpoint) && !(isSameOrigin && login?.config.isOn('allow-http') === true)) {
    return 'it would cross the network unencrypted';
  }
  if (isCurrentLogin && login !== undefined) return login.tls;
  const restored = metadata?.trust === undefined ? undefined : restoreTlsSettings(metadata.trust, httpContext.host);
  if (restored !== undefined) return restored;
  if (isSameOrigin && login !== undefined) return login.tls;
  return metadata?.trust?.insecure === true
    ? "its Keystone's certificate was not checked when the token was issued"
    : 'the certificate files used for its Keystone have changed since the token was issued';
}

/**
 * Revokes a token if the plugin requested it and if that is safe; it is sent only to the endpoint that it came from
 * (Keystone API v3, "Revoke token").
 */
export async function revokeTokenIfPossible(request: RevocationRequest): Promise<RevocationResult> {
  const { record, metadata, httpContext, deadlineMs } = request;
  const { endpoint, expiresAt, token } = record;
  if (metadata?.exchange !== undefined) return { kind: 'exchanged' };
  if (endpoint === undefined) return { kind: 'foreign' };
  const fromSetting = isFromSetting(request);
  if (fromSetting === true) return { kind: 'given' };
  if (expiresAt <= httpContext.host.now()) return { kind: 'ended' };
  if (fromSetting === undefined) return notRevoked('its origin is unknown');
  try {
    const tls = chooseTrust(request, new URL(endpoint));
    if (typeof tls === 'string') return notRevoked(tls);
    const wasRevoked = await withHttp({ ...httpContext, tls }, deadlineMs, (http) =>
      revokeToken(http, endpoint, new Secret(token)),
    );
    return { kind: wasRevoked ? 'revoked' : 'ended' };
  } catch (error) {
    if (error instanceof PluginError) return notRevoked(error.message);
    throw error;
  }
}
