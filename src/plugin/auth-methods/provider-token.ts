/** A token of an identity provider as the result of a login, instead of a Keystone token. */
import { AuthRejected } from '../../shared/base/errors.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { limitExpiry } from '../../shared/http/http-message.ts';
import { readUnverifiedClaims } from '../../shared/oidc/jwt.ts';
import type { OAuthTokens } from '../../shared/oidc/token-request.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import type { ProviderToken } from './auth-method.ts';

/** For a provider's token without a lifetime: short, because the plugin cannot ask when it expires. */
const UNKNOWN_LIFETIME_MS = 300_000;

/** Whether the result is the provider's token, so that Keystone is not needed. */
export function wantsProviderToken(config: ResolvedConfig): boolean {
  return config.has('token-kind');
}

/** @throws AuthRejected (method-not-offered) when the provider did not return this kind of token */
export function pickToken(tokens: OAuthTokens, kind: string): Secret {
  const token = kind === 'id_token' ? tokens.idToken : tokens.accessToken;
  if (token !== undefined) return token;
  throw new AuthRejected('method-not-offered', `the identity provider returned no ${kind}`, {
    hint: kind === 'id_token' ? 'add openid to OS_OPENID_SCOPE, or ask its operator' : 'ask its operator',
  });
}

/** What is known about a provider's token, in addition to the token itself. */
interface ProviderTokenContext extends Pick<OAuthTokens, 'receivedAt' | 'serverAheadMs'> {
  /** From `receivedAt` on, in ms; undefined when unknown. */
  readonly lifetimeMs?: number | undefined;
  readonly refreshToken?: Secret | undefined;
  /** Who logs in, as text for messages. */
  readonly subject: string;
}

/**
 * Makes the result of a login from a provider's token. It expires at its claim `exp` or else after its lifetime.
 *
 * @throws AuthRejected (auth-rejected) when the token has already expired
 */
export function makeProviderToken(token: Secret, context: ProviderTokenContext): ProviderToken {
  const { receivedAt, serverAheadMs, lifetimeMs = UNKNOWN_LIFETIME_MS, refreshToken, subject } = context;
  const expiry = readUnverifiedClaims(token.reveal())?.expiresAt;
  const expiresAt = expiry === undefined ? receivedAt + lifetimeMs : expiry - serverAheadMs;
  if (expiresAt > receivedAt) {
    return { token, expiresAt: limitExpiry(expiresAt, receivedAt), refreshToken, subject };
  }
  throw new AuthRejected('auth-rejected', "the provider's token has already expired", {
    hint: 'get a new one, and check the clock of this machine',
  });
}
