/** Giving a token back to the Keystone that it came from. */
import type { TokenMetadata } from '../cache/token-metadata.ts';
import type { TokenRecord } from '../cache/token-record.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { PluginError } from '../../shared/base/errors.ts';
import { isPlaintextRemote } from '../../shared/base/url.ts';
import { revokeToken } from '../../shared/keystone/client.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { Secret } from '../../shared/base/secret.ts';
import { withHttp } from './request-token.ts';
import type { HttpContext } from './request-token.ts';
import type { LoginContext } from './login-context.ts';
import { restoreTlsSettings } from './tls-trust.ts';

/** What became of a token. */
export type RevocationResult =
  /** Keystone has ended it. */
  | { readonly kind: 'revoked' }
  /** It was over, or Keystone did not know it any more. */
  | { readonly kind: 'ended' }
  /** It was given to us and is not ours to end. */
  | { readonly kind: 'given' }
  /** It is an identity provider's, which Keystone knows nothing of. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'not-revoked'; readonly because: string };

/** A token to give back. */
export interface RevocationRequest {
  readonly record: TokenRecord;
  /** Undefined where nothing is known of whose it is. */
  readonly metadata: TokenMetadata | undefined;
  /** The present settings, if they can be followed. */
  readonly login: LoginContext | undefined;
  /** Whether the token is what these settings lead to. */
  readonly isCurrentLogin: boolean;
  readonly httpContext: Omit<HttpContext, 'tls'>;
  /** That Keystone is waited for. */
  readonly deadlineMs: number;
}

const notRevoked = (because: string): RevocationResult => ({ kind: 'not-revoked', because });

/** Whether a token was given to us; undefined where nobody knows. */
function isGiven({ record, metadata, login, isCurrentLogin }: RevocationRequest): boolean | undefined {
  const isSetting = OPTIONS.some(({ name }) => login?.config.secret(name)?.reveal() === record.token);
  if (isSetting || metadata?.given === true) return true;
  return metadata !== undefined || isCurrentLogin ? false : undefined;
}

/** How Keystone is believed, or why it is not: a token goes nowhere over a way that its own login would not have taken. */
function chooseTrust(
  { metadata, login, isCurrentLogin, httpContext }: RevocationRequest,
  endpoint: URL,
): TlsSettings | string {
  const url = login === undefined ? undefined : readAuthUrl(login.config);
  const sameOrigin = url !== undefined && new URL(url).origin === endpoint.origin;
  if (isPlaintextRemote(endpoint) && !(sameOrigin && login?.config.isOn('allow-http') === true)) {
    return 'it would cross the network unencrypted';
  }
  if (isCurrentLogin && login !== undefined) return login.tls;
  const own = metadata?.trust === undefined ? undefined : restoreTlsSettings(metadata.trust, httpContext.host);
  if (own !== undefined) return own;
  if (sameOrigin && login !== undefined) return login.tls;
  return metadata?.trust?.insecure === true
    ? 'the certificate of its Keystone was not checked when it came'
    : 'the certificates that its Keystone was reached with are not what they were';
}

/**
 * Has Keystone end a token, if that is ours to ask and can be asked safely; it goes to the endpoint that it came from and
 * to no other.
 */
export async function revokeTokenIfPossible(returning: RevocationRequest): Promise<RevocationResult> {
  const { record, httpContext, deadlineMs } = returning;
  const { endpoint, expiresAt, token } = record;
  if (endpoint === undefined) return { kind: 'foreign' };
  const given = isGiven(returning);
  if (given === true) return { kind: 'given' };
  if (expiresAt <= httpContext.host.now()) return { kind: 'ended' };
  if (given === undefined) return notRevoked('nothing is known of where it is from');
  try {
    const tls = chooseTrust(returning, new URL(endpoint));
    if (typeof tls === 'string') return notRevoked(tls);
    const done = await withHttp({ ...httpContext, tls }, deadlineMs, (http) =>
      revokeToken(http, endpoint, new Secret(token)),
    );
    return { kind: done ? 'revoked' : 'ended' };
  } catch (error) {
    if (error instanceof PluginError) return notRevoked(error.message);
    throw error;
  }
}
