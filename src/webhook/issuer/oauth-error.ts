/** Refusals of an exchange, as OAuth 2.0 describes them (RFC 6749, section 5.2; RFC 8693, section 2.2.2). */
import type { RefusalCause } from '../review/review.ts';

/** Causes that the webhook does not have. */
const OWN_CAUSES = ['request', 'audience', 'not-allowed', 'own-token', 'too-large', 'rate', 'keystone'] as const;

/** Those of the webhook that an exchange can have. */
const SHARED_CAUSES = ['unrecognized', 'not-accepted', 'expired', 'scope', 'access-rules', 'user-name'] as const;

/** Why an exchange is refused; a label of the metrics, which says more than the error code. */
export type ExchangeRefusalCause = (typeof OWN_CAUSES)[number] | RefusalCause;

/** The causes that occur. */
export const EXCHANGE_REFUSAL_CAUSES: readonly ExchangeRefusalCause[] = [...OWN_CAUSES, ...SHARED_CAUSES];

/** What can be wrong, with the HTTP status of the answer and the usual cause. */
export const OAUTH_ERRORS = {
  invalid_request: { status: 400, cause: 'request' },
  unsupported_grant_type: { status: 400, cause: 'request' },
  /** Keystone does not accept the token: a new login helps. */
  invalid_grant: { status: 400, cause: 'not-accepted' },
  invalid_target: { status: 400, cause: 'audience' },
  /** The token is valid, but gives nothing here: a new login does not help. */
  access_denied: { status: 403, cause: 'not-allowed' },
  temporarily_unavailable: { status: 503, cause: 'keystone' },
} as const;

export type OAuthErrorCode = keyof typeof OAUTH_ERRORS;

export interface OAuthErrorDetails {
  /** Another HTTP status than usual. */
  readonly status?: number;
  /** Another cause than usual. */
  readonly cause?: ExchangeRefusalCause;
  readonly retryAfterSeconds?: number;
}

/** A refused exchange. The description quotes nothing of the request. */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode;
  readonly status: number;
  override readonly cause: ExchangeRefusalCause;
  /** When to try again, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: OAuthErrorCode, description: string, details: OAuthErrorDetails = {}) {
    super(description);
    this.code = code;
    this.status = details.status ?? OAUTH_ERRORS[code].status;
    this.cause = details.cause ?? OAUTH_ERRORS[code].cause;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** The JSON text of a refusal. A description has neither quotes nor backslashes (RFC 6749, section 5.2). */
export function renderOAuthError({ code, message }: OAuthError): string {
  const description = message.replaceAll(/["\\]/g, "'").replaceAll(/[^\x20-\x7e]/g, '?');
  return JSON.stringify({ error: code, error_description: description });
}
