/** Explains responses of an identity provider without a token. */
import { AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../base/errors.ts';
import type { Explanation, PluginError } from '../base/errors.ts';
import { parseJsonObject, textAt } from '../base/json.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { redactAndTruncate } from '../base/text.ts';
import type { Endpoint } from './endpoint.ts';

/** The identity provider understood the request and rejected it (RFC 6749, section 5.2). */
export class OAuthError extends AuthRejected {
  /** The `error` of the response, such as `invalid_grant`. */
  readonly reason: string;

  constructor(reason: string, ...rest: ConstructorParameters<typeof AuthRejected>) {
    super(...rest);
    this.reason = reason;
  }
}

/** The code is auth-rejected by default. */
type OAuthExplanation = Omit<Explanation, 'code'> & Partial<Explanation>;

/** By `error` of RFC 6749, 4.1.2.1 and 5.2, RFC 8628, 3.5, and OpenID Connect Core, 3.1.2.6. */
const REASONS: ReadonlyMap<string, OAuthExplanation> = new Map([
  [
    'invalid_grant',
    {
      message: 'wrong or already used credentials, or a locked account',
      hint: 'check the credentials, and log in again',
    },
  ],
  [
    'invalid_client',
    {
      code: 'credential-unknown',
      message: 'it does not know this client, or its secret is wrong',
      hint: 'check OS_CLIENT_ID and OS_CLIENT_SECRET',
    },
  ],
  [
    'unauthorized_client',
    {
      code: 'method-not-offered',
      message: 'this client is not allowed to use this auth method',
      hint: 'ask its operator to allow it for OS_CLIENT_ID, or set OS_AUTH_TYPE to another auth method',
    },
  ],
  [
    'unsupported_grant_type',
    {
      code: 'method-not-offered',
      message: 'it does not support this auth method',
      hint: 'set OS_AUTH_TYPE to another auth method',
    },
  ],
  [
    'invalid_scope',
    { code: 'request-rejected', message: 'it does not grant these scopes', hint: 'check OS_OPENID_SCOPE' },
  ],
  ['access_denied', { message: 'the login was denied', hint: 'log in again, and allow it' }],
  // Keycloak's, for a scope.
  [
    'not_allowed',
    {
      code: 'request-rejected',
      message: 'it does not grant these scopes to this user or this client',
      hint: 'remove offline_access from OS_OPENID_SCOPE, or ask its operator',
    },
  ],
  ['expired_token', { message: 'the login was not finished in time', hint: 'log in again' }],
  [
    'invalid_request',
    {
      code: 'request-rejected',
      message: 'it rejects the request as invalid',
      hint: 'check OS_CLIENT_ID and the scopes',
    },
  ],
  ...['interaction_required', 'login_required', 'consent_required', 'account_selection_required'].map(
    (reason): [string, OAuthExplanation] => [
      reason,
      {
        message: 'it needs an answer from you',
        hint: 'log in there with a browser once, or set OS_AUTH_TYPE=v3oidcdeviceauthz',
      },
    ],
  ),
]);

/** An answer of a provider that means more, or something else, than its `error` alone. */
interface PreciseReason {
  readonly reason: string;
  /** Only with this status. */
  readonly status?: number;
  /** Only with a description like this. */
  readonly description?: RegExp;
  readonly explanation: OAuthExplanation;
}

/** As Keycloak 26, Dex and Hydra answer. */
const PRECISE_REASONS: readonly PreciseReason[] = [
  {
    reason: 'invalid_grant',
    description: /\bnot fully set up\b/i,
    explanation: {
      message: 'the account requires an action of its user first, such as a new password',
      hint: 'log in there with a browser once',
    },
  },
  {
    reason: 'invalid_grant',
    description: /^(?:account|user) disabled\b/i,
    explanation: { message: 'the account is disabled', hint: 'ask its operator' },
  },
  {
    reason: 'invalid_request',
    description: /\bcode_challenge/,
    explanation: {
      code: 'request-rejected',
      message: 'it requires PKCE for this client',
      hint: 'set OS_CODE_CHALLENGE_METHOD=S256',
    },
  },
  // With this status, an answer is about the proof of the client (RFC 6749, section 5.2).
  {
    reason: 'unauthorized_client',
    status: 401,
    explanation: {
      code: 'credential-unknown',
      message: "the client's secret is wrong, or this client is not allowed to use this auth method",
      hint: 'check OS_CLIENT_ID and OS_CLIENT_SECRET, or set OS_AUTH_TYPE to another auth method',
    },
  },
  // Dex's. With this status, it is about a password and not about what the user allows.
  {
    reason: 'access_denied',
    status: 401,
    explanation: { message: 'wrong credentials', hint: 'check the credentials, and log in again' },
  },
  {
    reason: 'invalid_request',
    description: /\brequired scope\b.*"openid"/i,
    explanation: {
      code: 'request-rejected',
      message: 'it requires the scope openid',
      hint: 'add openid to OS_OPENID_SCOPE',
    },
  },
  {
    reason: 'invalid_request',
    description: /\bunrecognized scope\b|\bcan't request scope\b/i,
    explanation: { code: 'request-rejected', message: 'it does not grant these scopes', hint: 'check OS_OPENID_SCOPE' },
  },
  {
    reason: 'invalid_client',
    description: /'client_secret_post'.*'client_secret_basic'/,
    explanation: {
      code: 'method-not-offered',
      message: 'it expects the secret of this client in another place than a header',
      hint: 'ask its operator to allow client_secret_basic for OS_CLIENT_ID',
    },
  },
];

/** Keystone's reason for all that RFC 6749 has no name for, such as a client that it does not know. */
const KEYSTONE_OTHER = 'other_error';

const UNKNOWN: OAuthExplanation = { message: 'it refused the login', hint: 'ask its operator' };

function findExplanation(reason: string, description: string, status: number | undefined): OAuthExplanation {
  const precise = PRECISE_REASONS.find(
    (known) =>
      known.reason === reason &&
      (known.status === undefined || known.status === status) &&
      (known.description?.test(description) ?? true),
  );
  return precise?.explanation ?? REASONS.get(reason) ?? UNKNOWN;
}

/**
 * Explains `error` and `error_description`, from a response or from a redirect.
 *
 * @param subject who logs in, as text for messages
 * @param status of the response
 */
export function explainOAuthError(
  reason: string,
  description: string | undefined,
  subject: string,
  status?: number,
): PluginError {
  const { code = 'auth-rejected', message, hint } = findExplanation(reason, description ?? '', status);
  const quotation = redactAndTruncate([reason, description ?? ''].join(' ')).replace(/\.$/, '');
  return new OAuthError(reason, code, `the identity provider refused ${subject}: ${message} (${quotation})`, { hint });
}

function explainStatus({ peer, url }: Endpoint, response: HttpResponse): PluginError {
  const { status } = response;
  const after = response.header('retry-after');
  const again = after === undefined ? '' : `; it says Retry-After: ${redactAndTruncate(after)}`;
  if (status === 429) {
    return new KeystoneUnreachable('rate-limited', `${peer.name} limits the rate of requests`, {
      hint: `try again later${again}`,
    });
  }
  if (status >= 500) {
    return new KeystoneUnreachable('unavailable', `${peer.name} failed with error ${String(status)}`, {
      hint: `try again later${again}`,
    });
  }
  const html = /\bhtml\b/i.test(response.header('content-type') ?? '');
  const text = textAt(parseJsonObject(response.body), 'error');
  const quotation = text === undefined ? '' : ` (${redactAndTruncate(text)})`;
  const what = html ? 'HTML' : status < 300 ? 'no JSON object' : `status ${String(status)}${quotation}`;
  const { origin, pathname } = new URL(url);
  return new KeystoneProtocolError(
    'protocol',
    `${origin}${pathname} answered with ${what}, which is not the response of an identity provider`,
    { hint: `check ${peer.setting}, and whether you must sign in to the network first` },
  );
}

/** Explains a response of an endpoint without the expected result. */
export function explainOAuthResponse(endpoint: Endpoint, response: HttpResponse, subject: string): PluginError {
  const body = parseJsonObject(response.body);
  const reason = textAt(body, 'error');
  const { status } = response;
  const isUnavailable = status >= 500 || status === 429;
  if (reason === undefined || (isUnavailable && !REASONS.has(reason))) return explainStatus(endpoint, response);
  // With 404, most likely nothing at this path speaks OAuth, such as in a realm that Keycloak does not have.
  if (status === 404 && !REASONS.has(reason) && reason !== KEYSTONE_OTHER) return explainStatus(endpoint, response);
  return explainOAuthError(reason, textAt(body, 'error_description'), subject, status);
}
