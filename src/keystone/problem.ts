/** Turns what went wrong between us and Keystone into a sentence and a hint. Status and headers count before wording. */
import { AdditionalFactorRequired, AuthRejected, KeystoneProtocolError, KeystoneUnreachable } from '../errors.ts';
import type { PluginErrorCode, PluginError } from '../errors.ts';
import { listAt, objectAt, parseJsonObject, textAt } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { redact } from '../secret.ts';
import type { AuthRequest } from './auth-request.ts';
import type { HttpAnswer } from './http.ts';
import { listOfferedMethods } from './token.ts';

interface Explanation {
  readonly code: PluginErrorCode;
  readonly message: string;
  readonly hint: string;
}

const UNTRUSTED: Explanation = {
  code: 'untrusted',
  message: 'its certificate is not trusted',
  hint: "set OS_CACERT (--cacert) to its authority's PEM file; --insecure only as a last resort",
};

const UNWELCOME: Explanation = {
  code: 'untrusted',
  message: 'it does not accept our client certificate',
  hint: 'set OS_CERT and OS_KEY (--cert, --key) to a certificate of an authority that it trusts',
};

const OLD_TLS: Explanation = {
  code: 'untrusted',
  message: 'it speaks no TLS newer than 1.1',
  hint: 'ask its operator to enable TLS 1.2',
};

/** Failures of the connection, by Node's and OpenSSL's codes. */
const FAILURES: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: { code: 'unreachable', message: 'nothing listens there', hint: 'check OS_AUTH_URL and its port' },
  ENOTFOUND: {
    code: 'unreachable',
    message: 'its host name is unknown',
    hint: 'check OS_AUTH_URL, or your DNS or VPN',
  },
  EAI_AGAIN: { code: 'unreachable', message: 'its host name cannot be looked up now', hint: 'check your network' },
  EHOSTUNREACH: { code: 'unreachable', message: 'no way leads to its host', hint: 'check your network or VPN' },
  ENETUNREACH: { code: 'unreachable', message: 'no way leads to its network', hint: 'check your network or VPN' },
  ETIMEDOUT: { code: 'timed-out', message: 'it did not answer in time', hint: 'check your network, VPN or proxy' },
  ECONNRESET: {
    code: 'unreachable',
    message: 'it closed the connection',
    hint: 'try again; check your proxy if it stays',
  },
  ERR_HTTP_CONTENT_LENGTH_MISMATCH: {
    code: 'unreachable',
    message: 'it closed the connection in the middle of its answer',
    hint: 'try again; check your proxy if it stays',
  },
  HPE_HEADER_OVERFLOW: {
    code: 'protocol',
    message: 'the headers of its answer are too long',
    hint: 'check what stands between you and Keystone',
  },
  ERR_PROXY_TUNNEL: {
    code: 'unreachable',
    message: 'the proxy does not let us through',
    hint: 'check HTTPS_PROXY, or add the host to NO_PROXY',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: 'untrusted',
    message: 'its certificate is for another host name',
    hint: 'use the name that stands in the certificate in OS_AUTH_URL',
  },
  CERT_HAS_EXPIRED: {
    code: 'untrusted',
    message: 'its certificate has expired',
    hint: 'ask its operator for a new one, and check the clock of this machine',
  },
  CERT_NOT_YET_VALID: {
    code: 'untrusted',
    message: 'its certificate is not valid yet',
    hint: 'check the clock of this machine',
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  INVALID_CA: UNTRUSTED,
  INVALID_PURPOSE: UNTRUSTED,
  CERT_REVOKED: UNTRUSTED,
  ERR_SSL_WRONG_VERSION_NUMBER: {
    code: 'not-keystone',
    message: 'it does not speak TLS there',
    hint: 'check the port in OS_AUTH_URL, or whether it should be http://',
  },
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: {
    code: 'untrusted',
    message: 'it asks for a client certificate',
    hint: 'set OS_CERT and OS_KEY (--cert, --key)',
  },
  ERR_SSL_UNSUPPORTED_PROTOCOL: OLD_TLS,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: OLD_TLS,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: UNWELCOME,
  ERR_SSL_SSL_TLS_ALERT_BAD_CERTIFICATE: UNWELCOME,
  ERR_SSL_SSL_TLS_ALERT_HANDSHAKE_FAILURE: {
    code: 'untrusted',
    message: 'it broke off the TLS handshake',
    hint: 'if it asks for a client certificate, set OS_CERT and OS_KEY (--cert, --key)',
  },
};

const PROXY_UNREACHABLE: Explanation = {
  code: 'unreachable',
  message: 'the proxy cannot be reached',
  hint: 'check HTTPS_PROXY, or add the host to NO_PROXY',
};

/** The error of the socket, which got wraps and which says more; of several addresses, the first one's. */
function socketError(error: unknown): object {
  const cause = error instanceof Error ? (error.cause ?? error) : {};
  const [first] = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause];
  return typeof first === 'object' && first !== null ? first : {};
}

function codeOf(socket: object): string {
  const code = 'code' in socket ? String(socket.code) : 'unknown failure';
  // OpenSSL's reason for a failed write stands in the message only.
  const reason =
    code === 'EPROTO' && 'message' in socket ? /:SSL routines:[^:]*:([^:]+):/.exec(String(socket.message)) : null;
  return reason?.[1] === undefined ? code : `ERR_SSL_${reason[1].toUpperCase().replace(/\W+/g, '_')}`;
}

/** Whether it was another place than Keystone that could not be connected to. */
function isProxy(socket: object, url: URL): boolean {
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  if ('port' in socket) return socket.port !== port;
  return 'hostname' in socket && socket.hostname !== url.hostname;
}

/** What was tried when a connection failed. */
export interface Attempt {
  readonly url: URL;
  /** Whether the deadline of the whole run had passed. */
  readonly timedOut: boolean;
  readonly deadlineMs: number;
}

function explainUnknown(name: string): Explanation {
  // Node's HTTP parser has a code of its own for each rule of HTTP that an answer can break.
  if (name.startsWith('HPE_')) {
    return {
      code: 'protocol',
      message: `its answer is no valid HTTP (${name})`,
      hint: 'check what stands between you and Keystone, and whether OS_AUTH_URL should begin with https://',
    };
  }
  return {
    code: 'unreachable',
    message: `the connection failed (${name})`,
    hint: 'check OS_AUTH_URL and your network',
  };
}

/** Explains a request that got no answer. */
export function explainFailure(error: unknown, { url, timedOut, deadlineMs }: Attempt): PluginError {
  if (timedOut) {
    const seconds = String(deadlineMs / 1000);
    return new KeystoneUnreachable('timed-out', `Keystone at ${url.origin} did not answer within ${seconds} s`, {
      hint: 'check your network, VPN or proxy, or raise --timeout',
      cause: error,
    });
  }
  const socket = socketError(error);
  const name = codeOf(socket);
  const { code, message, hint } = isProxy(socket, url) ? PROXY_UNREACHABLE : (FAILURES[name] ?? explainUnknown(name));
  return new KeystoneUnreachable(code, `Keystone at ${url.origin} cannot be used: ${message}`, { hint, cause: error });
}

/**
 * Explains a redirect that is not followed.
 *
 * @param endless whether it would have been, had there not been so many before
 */
export function explainRedirect(from: URL, location: string, endless: boolean): PluginError {
  if (endless) {
    return new KeystoneProtocolError('redirect-refused', `Keystone at ${from.origin} redirects without end`, {
      hint: 'check OS_AUTH_URL, and what stands between you and Keystone',
    });
  }
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  if (to?.origin === from.origin) {
    return new KeystoneProtocolError(
      'redirect-refused',
      `Keystone at ${from.origin} redirects in a way that would drop the login`,
      { hint: 'check the path in OS_AUTH_URL' },
    );
  }
  const where = to === undefined || to.origin === 'null' ? 'elsewhere' : quote(to.origin);
  return new KeystoneProtocolError(
    'redirect-refused',
    `Keystone at ${from.origin} redirects to ${where}; the credential was not sent there`,
    { hint: where === 'elsewhere' ? 'check OS_AUTH_URL' : `set OS_AUTH_URL to ${where} if that is your Keystone` },
  );
}

interface Circumstances {
  readonly url: string;
  readonly answer: HttpAnswer;
  readonly body: JsonObject | undefined;
  readonly request: AuthRequest;
}

/** Text of the server's, fit to be quoted: a hostile one may say the credential back to us, or go on for ever. */
export function quote(text: string): string {
  return redact(text).trim().slice(0, 300);
}

/** What the server says in any of the three shapes of its errors; empty where it says nothing. */
function serverMessage(body: JsonObject | undefined): string {
  const [first] = listAt(body, 'errors');
  const entry = typeof first === 'object' && first !== null ? (first as JsonObject) : undefined;
  const text = textAt(objectAt(body, 'error'), 'message') ?? textAt(entry, 'detail') ?? textAt(entry, 'title') ?? '';
  return quote(text).replace(/\.$/, '');
}

function explainReceipt({ body, request }: Circumstances): PluginError {
  const done = listAt(objectAt(body, 'receipt'), 'methods');
  const ways = listAt(body, 'required_auth_methods').map((rule) =>
    (Array.isArray(rule) ? rule : [])
      .filter((method) => typeof method === 'string' && !done.includes(method))
      .join(' and '),
  );
  return new AdditionalFactorRequired(
    `Keystone wants another factor from ${request.subject}: ${quote(ways.join(', or '))}`,
    {
      hint: 'log in with an application credential, or pass a token with OS_TOKEN: this version cannot give a second factor',
    },
  );
}

function explain401(circumstances: Circumstances): PluginError {
  const { answer, body, request } = circumstances;
  if (answer.header('openstack-auth-receipt') !== undefined) return explainReceipt(circumstances);
  const offered = listOfferedMethods(body);
  if (offered.length > 0) {
    return new AuthRejected('method-not-offered', 'Keystone does not offer this way to log in', {
      hint: `it offers ${quote(offered.join(', '))}; set OS_AUTH_TYPE to one of them`,
    });
  }
  if (/\bpassword is expired\b/i.test(serverMessage(body))) {
    return new AuthRejected('password-expired', `the password of ${request.subject} has expired`, {
      hint: 'change it with "openstack user password set"',
    });
  }
  return new AuthRejected(
    'auth-rejected',
    `Keystone refused the login for ${request.subject}: wrong credentials, disabled or locked account, or no role there (Keystone does not say which)`,
    { hint: 'check user, password, domain, and project or trust' },
  );
}

function explain400({ body }: Circumstances): PluginError {
  const said = serverMessage(body);
  const domain = /\bdomain in (user|project)\b/i.exec(said)?.[1]?.toUpperCase();
  return new AuthRejected('request-rejected', `Keystone rejected the request: ${said || 'it does not say why'}`, {
    hint: domain === undefined ? 'check the names and ids that you set' : `set OS_${domain}_DOMAIN_NAME`,
  });
}

function explain404({ url, body }: Circumstances): PluginError {
  if (objectAt(body, 'error') === undefined) {
    return new KeystoneProtocolError('not-keystone', `no Keystone v3 answers at ${url}`, { hint: 'check OS_AUTH_URL' });
  }
  return new AuthRejected('credential-unknown', `Keystone does not find what was asked for: ${serverMessage(body)}`, {
    hint: 'check the names and ids that you set',
  });
}

function explain403({ body, request }: Circumstances): PluginError {
  return new AuthRejected(
    'auth-rejected',
    `Keystone forbids the login for ${request.subject}: ${serverMessage(body)}`,
    {
      hint: 'ask its operator',
    },
  );
}

function explain429({ answer }: Circumstances): PluginError {
  const after = answer.header('retry-after');
  return new KeystoneUnreachable('rate-limited', 'Keystone limits the rate of logins', {
    hint:
      after === undefined
        ? 'try again later'
        : `try again ${/^\d+$/.test(after) ? `in ${after} s` : `at ${quote(after)}`}`,
  });
}

function explainUnavailable({ answer, body }: Circumstances): PluginError {
  const after = answer.header('retry-after');
  const who = body === undefined ? ' from a proxy in front of it' : '';
  return new KeystoneUnreachable('unavailable', `Keystone is unavailable (${String(answer.status)}${who})`, {
    hint: after === undefined ? 'try again later' : `try again later; it says Retry-After: ${quote(after)}`,
  });
}

type Explainer = (circumstances: Circumstances) => PluginError;

const BY_STATUS: Readonly<Partial<Record<number, Explainer>>> = {
  400: explain400,
  401: explain401,
  403: explain403,
  404: explain404,
  429: explain429,
  502: explainUnavailable,
  503: explainUnavailable,
  504: explainUnavailable,
};

function explainOther({ url, answer, body }: Circumstances): PluginError {
  const status = String(answer.status);
  if (answer.status >= 500) {
    return new KeystoneUnreachable('unavailable', `Keystone failed with error ${status}`, {
      hint: 'try again later, or ask its operator',
    });
  }
  const html = /\bhtml\b/i.test(answer.header('content-type') ?? '');
  const what = html ? 'HTML' : answer.status < 300 ? 'no JSON' : `status ${status}`;
  return new KeystoneProtocolError(
    'not-keystone',
    answer.status >= 400 && body !== undefined
      ? `Keystone answered ${status}: ${serverMessage(body)}`
      : `${url} answered with ${what}, which is not Keystone`,
    { hint: 'check OS_AUTH_URL, and whether you must sign in to the network first' },
  );
}

/** Explains an answer that is not the one hoped for; the method's own explanation goes first. */
export function explainAnswer(request: AuthRequest, url: string, answer: HttpAnswer): PluginError {
  const body = parseJsonObject(answer.body);
  const circumstances = { url, answer, body, request };
  const explained = (BY_STATUS[answer.status] ?? explainOther)(circumstances);
  const refusal = request.refusals?.[answer.status];
  const own =
    refusal !== undefined && (explained.code === 'auth-rejected' || explained.code === 'credential-unknown')
      ? new AuthRejected(refusal.code, refusal.message, { hint: refusal.hint })
      : explained;
  const requestId = answer.header('x-openstack-request-id');
  if (requestId !== undefined) own.requestId = quote(requestId);
  return own;
}
