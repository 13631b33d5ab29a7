/** Refusals of an exchange, as OAuth 2.0 describes them (RFC 6749, section 5.2; RFC 8693, section 2.2.2). */

/** What can be wrong, with the HTTP status and what else the answer says. */
export const OAUTH_ERRORS = {
  invalid_request: { status: 400 },
  unsupported_grant_type: { status: 400 },
  /** Keystone does not accept the token: a new login helps. */
  invalid_grant: { status: 400 },
  invalid_target: { status: 400 },
  /** The token is valid, but gives nothing here: a new login does not help. */
  access_denied: { status: 403 },
  temporarily_unavailable: { status: 503 },
} as const;

export type OAuthErrorCode = keyof typeof OAUTH_ERRORS;

/** A refused exchange. The description quotes nothing of the request. */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode;
  readonly status: number;
  /** When to try again, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: OAuthErrorCode,
    description: string,
    details: { readonly status?: number; readonly retryAfterSeconds?: number } = {},
  ) {
    super(description);
    this.code = code;
    this.status = details.status ?? OAUTH_ERRORS[code].status;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** The JSON text of a refusal. A description has neither quotes nor backslashes (RFC 6749, section 5.2). */
export function renderOAuthError({ code, message }: OAuthError): string {
  const description = message.replaceAll(/["\\]/g, "'").replaceAll(/[^\x20-\x7e]/g, '?');
  return JSON.stringify({ error: code, error_description: description });
}
