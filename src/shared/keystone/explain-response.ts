/** Explains responses without a token. The status and headers decide before the server's text does. */
import { AdditionalFactorRequired, AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../base/errors.ts';
import type { PluginError } from '../base/errors.ts';
import { isJsonObject, listAt, objectAt, parseJsonObject, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';
import type { AuthRequest, ServerMessage, StatusExplanation } from './auth-request.ts';
import { KEYSTONE } from '../http/peer.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { redactAndTruncate } from '../base/text.ts';
import { listOfferedMethods, parseTokenId } from './token.ts';

/** What an explanation needs to know about the request. */
export type ExplainedRequest = Pick<AuthRequest, 'subject' | 'version' | 'otherKeystone' | 'statusExplanations'> &
  Partial<Pick<AuthRequest, 'path'>>;

interface Circumstances {
  readonly url: string;
  readonly response: HttpResponse;
  readonly body: JsonObject | undefined;
  readonly request: ExplainedRequest;
}

/** What Rust Keystone puts before the reason of a status 500. */
const FAILURE_PREFIX = /^internal server error: /;

/** The server's text in any of the three formats of errors, or as plain text; empty if there is none. */
function serverMessage({ response, body }: Pick<Circumstances, 'response' | 'body'>): string {
  if (body === undefined) {
    // Rust Keystone's answer to a body that it cannot read.
    const isPlainText = /^text\/plain\b/i.test(response.header('content-type') ?? '');
    return response.status === 422 && isPlainText ? redactAndTruncate(response.body) : '';
  }
  const [first] = listAt(body, 'errors');
  const entry = isJsonObject(first) ? first : undefined;
  const text = textAt(objectAt(body, 'error'), 'message') ?? textAt(entry, 'detail') ?? textAt(entry, 'title') ?? '';
  return redactAndTruncate(text)
    .replace(/\.{1,2}$/, '')
    .replace(FAILURE_PREFIX, '');
}

/** What Rust Keystone says to a user who has proved who they are. */
const NO_ROLE = /^actor has no roles on scope$/;

function explainReceipt({ body, request }: Circumstances, receipt: string): PluginError {
  const acceptedMethods = listAt(objectAt(body, 'receipt'), 'methods');
  const missingMethodSets = listAt(body, 'required_auth_methods').map((rule) =>
    (Array.isArray(rule) ? (rule as unknown[]) : [])
      .filter((method) => typeof method === 'string')
      .filter((method) => !acceptedMethods.includes(method)),
  );
  const factors = redactAndTruncate(missingMethodSets.map((methods) => methods.join(' and ')).join(', or '));
  return new AdditionalFactorRequired(
    `Keystone requires another factor from ${request.subject}: ${factors}`,
    { id: parseTokenId(receipt), missingMethodSets },
    { hint: 'log in with an application credential, or pass a token with OS_TOKEN' },
  );
}

function explain401(circumstances: Circumstances): PluginError {
  const { response, body, request } = circumstances;
  const receipt = response.header('openstack-auth-receipt');
  if (receipt !== undefined) return explainReceipt(circumstances, receipt);
  const offered = listOfferedMethods(body);
  if (offered.length > 0) {
    return new AuthRejected('method-not-offered', 'Keystone does not offer this auth method', {
      hint: `it offers ${redactAndTruncate(offered.join(', '))}; set OS_AUTH_TYPE to one of them`,
    });
  }
  if (/\bpassword is expired\b/i.test(serverMessage(circumstances))) {
    return new AuthRejected('password-expired', `the password of ${request.subject} has expired`, {
      hint: 'change it with "openstack user password set"',
    });
  }
  if (NO_ROLE.test(serverMessage(circumstances))) {
    return new AuthRejected(
      'auth-rejected',
      `Keystone refused the login for ${request.subject}: the user has no role there`,
      { hint: 'choose another project or domain, or ask its operator for a role' },
    );
  }
  return new AuthRejected(
    'auth-rejected',
    `Keystone refused the login for ${request.subject}: wrong credentials, ` +
      'disabled or locked account, or no role in the scope (Keystone does not tell which)',
    { hint: 'check user, password, domain, and project or trust' },
  );
}

function explain400(circumstances: Circumstances): PluginError {
  const text = serverMessage(circumstances);
  if (circumstances.response.status === 422 && text === '') return explainOther(circumstances);
  if (text.includes('unknown variant `OS-TRUST:trust`')) {
    return new AuthRejected('request-rejected', 'this Keystone has no trusts', {
      hint: 'unset OS_TRUST_ID (--trust-id), and set a project',
    });
  }
  if (/\bauth\.scope\.unscoped:|\bunknown variant `unscoped`/.test(text)) {
    return new AuthRejected('request-rejected', 'this Keystone cannot be asked for a token without a scope', {
      hint: 'leave out --unscoped: without a project, this Keystone gives a token without a scope',
    });
  }
  const domain = (/\bdomain in (user|project)\b/i.exec(text) ?? /\b(user) domain id or name must/.exec(text))?.[1];
  return new AuthRejected('request-rejected', `Keystone rejected the request: ${text || 'it does not say why'}`, {
    hint: domain === undefined ? 'check the names and IDs that you set' : `set OS_${domain.toUpperCase()}_DOMAIN_NAME`,
  });
}

/** What a login that Rust Keystone does not have asks for; undefined if another server answered, or if that is v4. */
function findMissingPath({ response, request: { path = '', version } }: Circumstances): string | undefined {
  const isRustKeystone = response.body === '' && response.header('x-openstack-request-id') !== undefined;
  return isRustKeystone && version === undefined && path.startsWith('OS-') ? `v3/${path}` : undefined;
}

function explain404(circumstances: Circumstances): PluginError {
  const { url, body, request } = circumstances;
  const missingPath = findMissingPath(circumstances);
  if (missingPath !== undefined) {
    return new KeystoneProtocolError(
      'protocol',
      `this Keystone does not have the auth method: it has no ${redactAndTruncate(missingPath)}`,
      { hint: 'set another OS_AUTH_TYPE; Rust Keystone has v4federation and v4jwt for identity providers' },
    );
  }
  if (objectAt(body, 'error') === undefined) {
    const { version = 'v3', otherKeystone: { peer } = { peer: KEYSTONE } } = request;
    return new KeystoneProtocolError('not-keystone', `no Keystone ${version} answers at ${url}`, {
      hint: version === 'v3' ? `check ${peer.setting}` : `check ${peer.setting}; only Rust Keystone has v4`,
    });
  }
  return new AuthRejected(
    'credential-unknown',
    `Keystone does not find what the request names: ${serverMessage(circumstances)}`,
    {
      hint: 'check the names and IDs that you set',
    },
  );
}

function explain403(circumstances: Circumstances): PluginError {
  return new AuthRejected(
    'auth-rejected',
    `Keystone forbids the login for ${circumstances.request.subject}: ${serverMessage(circumstances)}`,
    {
      hint: 'ask its operator',
    },
  );
}

function explain409(circumstances: Circumstances): PluginError {
  return new AuthRejected('request-rejected', `it already exists in Keystone: ${serverMessage(circumstances)}`, {
    hint: 'choose another name',
  });
}

function explain429({ response }: Circumstances): PluginError {
  const after = response.header('retry-after');
  return new KeystoneUnreachable('rate-limited', 'Keystone limits the rate of logins', {
    hint:
      after === undefined
        ? 'try again later'
        : `try again ${/^\d+$/.test(after) ? `in ${after} s` : `at ${redactAndTruncate(after)}`}`,
  });
}

function explainUnavailable({ response, body }: Circumstances): PluginError {
  const after = response.header('retry-after');
  const who = body === undefined ? ' from a proxy in front of it' : '';
  return new KeystoneUnreachable('unavailable', `Keystone is unavailable (${String(response.status)}${who})`, {
    hint: after === undefined ? 'try again later' : `try again later; it says Retry-After: ${redactAndTruncate(after)}`,
  });
}

type Explainer = (circumstances: Circumstances) => PluginError;

const BY_STATUS: Readonly<Partial<Record<number, Explainer>>> = {
  400: explain400,
  401: explain401,
  403: explain403,
  404: explain404,
  409: explain409,
  422: explain400,
  429: explain429,
  502: explainUnavailable,
  503: explainUnavailable,
  504: explainUnavailable,
};

function explainOther(circumstances: Circumstances): PluginError {
  const { url, response, body, request } = circumstances;
  const status = String(response.status);
  if (response.status >= 500) {
    const isReasoned = (textAt(objectAt(body, 'error'), 'message') ?? '').startsWith('internal server error: ');
    const reason = isReasoned ? `: ${serverMessage(circumstances)}` : '';
    return new KeystoneUnreachable('unavailable', `Keystone failed with error ${status}${reason}`, {
      hint: 'try again later, or ask its operator',
    });
  }
  const html = /\bhtml\b/i.test(response.header('content-type') ?? '');
  const what = html ? 'HTML' : response.status < 300 ? 'no JSON' : `status ${status}`;
  return new KeystoneProtocolError(
    'not-keystone',
    response.status >= 400 && body !== undefined
      ? `Keystone answered ${status}: ${serverMessage(circumstances)}`
      : `${url} answered with ${what}, which is not Keystone`,
    {
      hint:
        `check ${(request.otherKeystone?.peer ?? KEYSTONE).setting}, ` +
        'and whether you must sign in to the network first',
    },
  );
}

/** Refusals that Rust Keystone reports as failures of its own, and the statuses that say what happened. */
const MEANT_STATUSES: readonly (readonly [message: RegExp, status: number])[] = [
  [/^internal server error: (?:.*: )?(?:fernet decryption error|token has been revoked)$/, 401],
  [/^internal server error: actor has no roles on scope$/, 401],
  [/^internal server error: domain .* not found$/, 404],
  [/^internal server error: either user id or user name with user domain/, 400],
];

function findMeantStatus({ status }: HttpResponse, body: JsonObject | undefined): number {
  const text = textAt(objectAt(body, 'error'), 'message') ?? '';
  return (status === 500 ? MEANT_STATUSES.find(([message]) => message.test(text))?.[1] : undefined) ?? status;
}

/** The explanation of the auth method; undefined if it has none that takes precedence over `explained`. */
function explainByMethod(
  circumstances: Circumstances,
  status: number,
  explained: PluginError,
): StatusExplanation | undefined {
  const own = circumstances.request.statusExplanations?.[status];
  if (typeof own !== 'function') {
    // A method lists what the cause can be, but here Keystone says it.
    if (NO_ROLE.test(serverMessage(circumstances))) return undefined;
    const isReplaced = status < 300 || ['auth-rejected', 'credential-unknown'].includes(explained.code);
    return isReplaced ? own : undefined;
  }
  const text = serverMessage(circumstances);
  const error = objectAt(circumstances.body, 'error');
  const message: ServerMessage = { text, isFromRustKeystone: error !== undefined && !('title' in error) };
  return text === '' || explained.code === 'not-keystone' ? undefined : own(message);
}

/** Explains a response without the expected result; the explanation of the auth method takes precedence. */
export function explainResponse(request: ExplainedRequest, url: string, response: HttpResponse): PluginError {
  const body = parseJsonObject(response.body);
  const circumstances = { url, response, body, request };
  const status = findMeantStatus(response, body);
  const explained = (BY_STATUS[status] ?? explainOther)(circumstances);
  const own = explainByMethod(circumstances, status, explained);
  const error = own === undefined ? explained : new AuthRejected(own.code, own.message, { hint: own.hint });
  const requestId = response.header('x-openstack-request-id');
  if (requestId !== undefined) error.requestId = redactAndTruncate(requestId);
  return error;
}
