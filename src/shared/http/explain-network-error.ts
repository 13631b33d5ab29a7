/** Explains requests that got no response or were redirected elsewhere. */
import { ConfigError, getErrorCode, KeystoneProtocolError, KeystoneUnreachable } from '../base/errors.ts';
import type { Explanation, PluginError } from '../base/errors.ts';
import type { TrustedOrigins } from './trusted-origins.ts';
import type { Peer } from './peer.ts';
import { isSocks } from './proxy.ts';
import type { Proxy } from './proxy.ts';
import { redactAndTruncate } from '../base/text.ts';

const UNTRUSTED: Explanation = {
  code: 'untrusted',
  message: 'its certificate is not trusted',
  hint: "set OS_CACERT (--cacert) to its authority's PEM file; --insecure only as a last resort",
};

const CERTIFICATE_REJECTED: Explanation = {
  code: 'untrusted',
  message: 'it does not accept our client certificate',
  hint: 'set OS_CERT and OS_KEY (--cert, --key) to a certificate of an authority that it trusts',
};

const CERTIFICATE_REQUIRED: Explanation = {
  code: 'untrusted',
  message: 'it requires a client certificate',
  hint: 'set OS_CERT and OS_KEY (--cert, --key)',
};

const HANDSHAKE_FAILURE: Explanation = {
  code: 'untrusted',
  message: 'it aborted the TLS handshake',
  hint:
    'if it requires a client certificate, set OS_CERT and OS_KEY (--cert, --key); if not, ask its operator to allow ' +
    'ECDHE with X25519 or P-256 and AES-GCM, for a certificate with an RSA or P-256 key',
};

const OLD_TLS: Explanation = {
  code: 'untrusted',
  message: 'it does not support TLS 1.2 or newer',
  hint: 'ask its operator to enable TLS 1.2',
};

const NO_TLS: Explanation = {
  code: 'not-keystone',
  message: 'it does not use TLS on this port',
  hint: 'check the port in {setting}, or whether it should be http://',
};

const PROXY_UNREACHABLE: Explanation = {
  code: 'unreachable',
  message: 'the proxy cannot be reached',
  hint: 'check {proxy}{bypass}',
};

/**
 * By the codes of Node, OpenSSL and BoringSSL, which Bun uses. `{name}` and `{setting}` are those of the {@link Peer};
 * {@link describeProxyParts} has the others.
 */
const FAILURES: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: { code: 'unreachable', message: 'nothing listens there', hint: 'check {setting} and its port' },
  ENOTFOUND: {
    code: 'unreachable',
    message: 'its host name is unknown',
    hint: 'check {setting}, or your DNS or VPN',
  },
  EAI_AGAIN: { code: 'unreachable', message: 'its host name cannot be looked up now', hint: 'check your network' },
  EHOSTUNREACH: { code: 'unreachable', message: 'there is no route to its host', hint: 'check your network or VPN' },
  ENETUNREACH: { code: 'unreachable', message: 'there is no route to its network', hint: 'check your network or VPN' },
  ETIMEDOUT: { code: 'timed-out', message: 'it did not respond in time', hint: 'check your network, VPN or proxy' },
  ECONNRESET: {
    code: 'unreachable',
    message: 'it closed the connection',
    hint: 'try again; if the error persists, check your proxy',
  },
  ERR_HTTP_CONTENT_LENGTH_MISMATCH: {
    code: 'unreachable',
    message: 'it closed the connection in the middle of its response',
    hint: 'try again; if the error persists, check your proxy',
  },
  HPE_HEADER_OVERFLOW: {
    code: 'protocol',
    message: 'the headers of its response are too long',
    hint: 'check the proxies between you and {name}',
  },
  ERR_PROXY_UNREACHABLE: PROXY_UNREACHABLE,
  ERR_PROXY_UNKNOWN: PROXY_UNREACHABLE,
  ERR_PROXY_TUNNEL: {
    code: 'unreachable',
    message: 'the proxy refuses the connection',
    hint: 'check {proxy}{bypass}',
  },
  ERR_PROXY_CREDENTIALS: {
    code: 'unreachable',
    message: 'the proxy refuses the connection, because its credentials are {credentials}',
    hint: 'check the user name and the password in {proxy}, as in {example}{bypass}',
  },
  ERR_PROXY_RESPONSE: {
    code: 'unreachable',
    message: 'the proxy does not answer as {kind} proxy does',
    hint: 'check {proxy}{bypass}',
  },
  ERR_PROXY_TIMEOUT: {
    code: 'timed-out',
    message: 'the proxy did not open a connection to it in time',
    hint: 'check {proxy}{bypass}',
  },
  ERR_PROXY_TLS: {
    code: 'untrusted',
    message: 'the certificate or the TLS of the proxy is not accepted',
    hint: 'check {proxy}, and whether OS_CACERT (--cacert) contains the authority of the proxy',
  },
  ERR_TLS_CERT_ALTNAME_MISSING: {
    code: 'untrusted',
    message: 'its certificate names no host, except perhaps as its common name, which no longer counts',
    hint: 'ask its operator for a certificate with a subject alternative name',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: 'untrusted',
    message: 'its certificate is for another host name',
    hint: 'use the host name of the certificate in {setting}',
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
  CERT_CHAIN_WEAK_KEY: {
    code: 'untrusted',
    message: 'its certificate, or one of its authorities, has a key that is too weak',
    hint: 'ask its operator for a certificate with an RSA key of at least 2048 bits, or an EC key',
  },
  CERT_CHAIN_WEAK_DIGEST: {
    code: 'untrusted',
    message: 'its certificate, or one of its authorities, is signed with SHA-1 or another weak digest',
    hint: 'ask its operator for a certificate that is signed with SHA-256',
  },
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: {
    code: 'untrusted',
    message: 'one of its authorities has a key of a kind that this program does not know',
    hint: 'ask its operator for a certificate of an authority with an RSA, P-256 or P-384 key',
  },
  CERT_NAME_CONSTRAINT: {
    code: 'untrusted',
    message: 'its authority must not issue certificates for this host name (name constraints)',
    hint: 'ask its operator for a certificate of another authority, or check the host name in {setting}',
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
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_TLS_UNKNOWN: NO_TLS,
  ERR_TLS_EXPECTED: {
    code: 'not-keystone',
    message: 'it uses TLS on this port, but the URL begins with http://',
    hint: 'write https:// in {setting}, or check the port',
  },
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: CERTIFICATE_REQUIRED,
  ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED: CERTIFICATE_REQUIRED,
  ERR_SSL_KEY_USAGE_BIT_INCORRECT: {
    code: 'untrusted',
    message: 'the key usage of its certificate forbids this TLS connection, usually because it lacks digitalSignature',
    hint: 'ask its operator for a certificate with the key usage digitalSignature, and to allow ECDHE',
  },
  ERR_SSL_UNSUPPORTED_PROTOCOL: OLD_TLS,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: OLD_TLS,
  CERT_CHAIN_TOO_LONG: UNTRUSTED,
  PATH_LENGTH_EXCEEDED: UNTRUSTED,
  CERT_UNTRUSTED: UNTRUSTED,
  CERT_REJECTED: UNTRUSTED,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: CERTIFICATE_REJECTED,
  ERR_SSL_SSL_TLS_ALERT_BAD_CERTIFICATE: CERTIFICATE_REJECTED,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: CERTIFICATE_REJECTED,
  ERR_SSL_SSL_TLS_ALERT_HANDSHAKE_FAILURE: HANDSHAKE_FAILURE,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: HANDSHAKE_FAILURE,
};

/** Returns the error of the socket, which got wraps and which says more; the first one of several addresses. */
function getSocketError(error: unknown): object {
  // Its cause says what went wrong at the proxy, as if it were the server.
  if (error instanceof Error && getErrorCode(error).startsWith('ERR_PROXY_')) return error;
  const cause = error instanceof Error ? (error.cause ?? error) : {};
  const [first] = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause];
  return typeof first === 'object' && first !== null ? first : {};
}

/** The texts of OpenSSL (X509_verify_cert_error_string) for reasons that have no code in Node. */
const UNCODED_REASONS: readonly (readonly [text: RegExp, code: string])[] = [
  [/certificate key too weak/, 'CERT_CHAIN_WEAK_KEY'],
  [/signature digest algorithm too weak/, 'CERT_CHAIN_WEAK_DIGEST'],
  [/subtree violation|name constraint/, 'CERT_NAME_CONSTRAINT'],
];

const UNCODED = 'UNSPECIFIED';

function getSocketErrorCode(socket: object): string {
  const code = 'code' in socket ? String(socket.code) : 'unknown failure';
  if (code === UNCODED && 'message' in socket) {
    const text = String(socket.message);
    return UNCODED_REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? UNCODED;
  }
  // Only the message has OpenSSL's reason for a failed write.
  const reason =
    code === 'EPROTO' && 'message' in socket ? /:SSL routines:[^:]*:([^:]+):/.exec(String(socket.message)) : null;
  const name = reason?.[1] === undefined ? code : `ERR_SSL_${reason[1].toUpperCase()}`;
  // OpenSSL has names such as "ssl/tls alert handshake failure".
  return name.startsWith('ERR_SSL_') ? name.replaceAll(/\W+/g, '_') : name;
}

/** The request that failed. */
export interface FailedAttempt {
  readonly url: URL;
  readonly peer: Peer;
  /** Whether the deadline passed. */
  readonly timedOut: boolean;
  readonly deadlineMs: number;
  /** The list of trusted servers, which alone can name another authority. */
  readonly trustedOrigins?: TrustedOrigins | undefined;
  /** The proxy that it went through. */
  readonly proxy?: Proxy | undefined;
}

function explainUnknown(name: string): Explanation {
  // Node's HTTP parser has one code for each rule of HTTP that a response can break.
  if (name.startsWith('HPE_')) {
    return {
      code: 'protocol',
      message: `its response is not valid HTTP (${name})`,
      hint: 'check the proxies between you and {name}, and whether {setting} should start with https://',
    };
  }
  if (name === UNCODED) {
    return { ...UNTRUSTED, message: 'its certificate breaks a rule for certificates' };
  }
  return {
    code: 'unreachable',
    message: `the connection failed (${name})`,
    hint: 'check {setting} and your network',
  };
}

function describeProxyParts(proxy: Proxy | undefined): Readonly<Record<string, string>> {
  if (proxy === undefined) return {};
  const { origin, scheme, credentials } = proxy;
  return {
    proxy: origin,
    kind: isSocks(proxy) ? 'a SOCKS5' : 'an HTTP',
    credentials: credentials === undefined ? 'missing' : 'wrong',
    example: `${scheme}://USER:PASSWORD@HOST:PORT`,
    // A kubeconfig can name a proxy too, without exceptions.
    bypass: /_proxy$/i.test(origin) ? ', or add the host to NO_PROXY' : '',
  };
}

/** Puts the names of the peer and of the proxy's setting into a text. */
function expand(text: string, { name, setting }: Peer, proxy: Proxy | undefined): string {
  const parts: Readonly<Record<string, string>> = { name, setting, ...describeProxyParts(proxy) };
  return text.replaceAll(/\{(\w+)\}/g, (whole, part: string) => parts[part] ?? whole);
}

/** Says how a trusted server gets another authority. */
export function explainListedAuthority({ origin }: URL, { file }: TrustedOrigins): string {
  return `if you trust its authority, write ca=PATH with its PEM file after ${origin} in ${file}`;
}

/** Explains a request that got no response. */
export function explainNetworkError(
  error: unknown,
  { url, peer, timedOut, deadlineMs, trustedOrigins, proxy }: FailedAttempt,
): PluginError {
  const who = `${peer.name} at ${url.origin}`;
  if (timedOut) {
    return new KeystoneUnreachable('timed-out', `${who} did not respond within ${deadlineMs / 1000} s`, {
      hint: 'check your network, VPN or proxy, or raise --timeout',
      cause: error,
    });
  }
  const socket = getSocketError(error);
  const name = getSocketErrorCode(socket);
  const { code, message, hint } = FAILURES[name] ?? explainUnknown(name);
  const ownHint = hint === UNTRUSTED.hint ? peer.trustHint : undefined;
  return new KeystoneUnreachable(code, `${who} cannot be used: ${expand(message, peer, proxy)}`, {
    hint:
      hint === UNTRUSTED.hint && trustedOrigins !== undefined
        ? explainListedAuthority(url, trustedOrigins)
        : (ownHint ?? expand(hint, peer, proxy)),
    cause: error,
  });
}

/** Explains that a server is not in the user's list of trusted servers. */
export function explainUntrustedOrigin(url: URL, { name, setting }: Peer, { file }: TrustedOrigins): PluginError {
  return new ConfigError(
    `${name} at ${url.origin} is not one of the servers that you trust in ${file}; nothing was sent`,
    {
      hint: `check ${setting}, or add this origin to the file if you trust it`,
    },
  );
}

/** The origin that a redirect points to; undefined if it names none, as `mailto:`. */
function findRedirectOrigin(from: string, location: string | undefined): string | undefined {
  if (location === undefined || !URL.canParse(location, from)) return undefined;
  const { origin } = new URL(location, from);
  return origin === 'null' ? undefined : origin;
}

/** Names the target of a redirect for messages, without its path, which can contain a secret. */
export function describeRedirectTarget(from: string, location: string | undefined): string {
  const origin = findRedirectOrigin(from, location);
  return origin === undefined ? 'an unusable URL' : redactAndTruncate(origin);
}

/**
 * Explains a redirect that is not followed.
 *
 * @param isLimitReached whether it would be followed if there were fewer redirects before it
 */
export function explainRedirect(
  from: URL,
  location: string,
  { peer, isLimitReached }: { peer: Peer; isLimitReached: boolean },
): PluginError {
  const { name, setting } = peer;
  const refuse = (message: string, hint: string): PluginError =>
    new KeystoneProtocolError('redirect-refused', `${name} at ${from.origin} ${message}`, { hint });
  if (isLimitReached)
    return refuse('redirects without end', `check ${setting}, and the proxies between you and ${name}`);
  const origin = findRedirectOrigin(from.href, location);
  if (origin === from.origin) {
    return refuse('redirects in a way that would drop the login', `check the path in ${setting}`);
  }
  const target = describeRedirectTarget(from.href, location);
  return refuse(
    `redirects to ${target}; the credential was not sent there`,
    origin === undefined ? `check ${setting}` : `set ${setting} to ${target} if that is your ${name}`,
  );
}
