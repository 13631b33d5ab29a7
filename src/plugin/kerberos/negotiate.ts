/**
 * HTTP with the user's Kerberos tickets (RFC 4559, "Negotiate"). Node has no GSS-API, and the npm packages for it
 * download programs during their installation. Therefore the system's curl sends these requests.
 */
import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { waitSilently } from '../../shared/base/long-wait.ts';
import {
  explainNetworkError,
  explainRedirect,
  explainUntrustedOrigin,
} from '../../shared/http/explain-network-error.ts';
import { describeResponse } from '../../shared/http/describe-response.ts';
import { restrictTls } from '../../shared/http/trusted-origins.ts';
import { describePeerAt, KEYSTONE } from '../../shared/http/peer.ts';
import type { HttpClient, HttpSettings } from '../../shared/http/http-client.ts';
import type { HttpRequest, HttpResponse } from '../../shared/http/http-message.ts';
import type { Peer } from '../../shared/http/peer.ts';
import type { Proxy } from '../../shared/http/proxy.ts';
import { findCurl, makeCurlConfig, parseCurlOutput, parseProxyOutcome, runCurl } from './curl.ts';
import type { CurlResult } from './curl.ts';

/** Exit statuses of curl (curl manual, "EXIT CODES") and the Node error codes with the same meaning. */
const ERROR_CODES: Readonly<Partial<Record<number, string>>> = {
  5: 'ERR_PROXY_UNKNOWN',
  6: 'ENOTFOUND',
  7: 'ECONNREFUSED',
  28: 'ETIMEDOUT',
  35: 'ERR_SSL_SSL_TLS_ALERT_HANDSHAKE_FAILURE',
  52: 'ECONNRESET',
  56: 'ECONNRESET',
  60: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  97: 'ERR_PROXY_TUNNEL',
};

/** Curl counts whole seconds, so it may report a timeout shortly before the deadline. */
const DEADLINE_TOLERANCE_MS = 500;

/** What {@link checkResult} needs to explain a failed run. */
interface Attempt {
  readonly url: URL;
  readonly peer: Peer;
  readonly remainingMs: number;
  readonly deadlineMs: number;
  readonly trustedOrigins: HttpSettings['trustedOrigins'];
  readonly proxy: Proxy | undefined;
}

/** Returns the code of what went wrong; curl has one exit status for the proxy and for the server behind it. */
function findErrorCode({ status, output }: CurlResult, proxy: Proxy | undefined): string {
  const code = ERROR_CODES[status ?? 28] ?? `curl exited with status ${String(status)}`;
  if (proxy === undefined) return code;
  const { connectStatus, isUntrusted } = parseProxyOutcome(output);
  if (connectStatus === 407) return 'ERR_PROXY_CREDENTIALS';
  if (connectStatus >= 300) return 'ERR_PROXY_TUNNEL';
  if (isUntrusted) return 'ERR_PROXY_TLS';
  return code === 'ECONNREFUSED' ? 'ERR_PROXY_UNREACHABLE' : code;
}

function checkResult(result: CurlResult, { url, peer, remainingMs, ...attempt }: Attempt): void {
  if (result.isTooLarge) {
    throw new KeystoneProtocolError('protocol', `the response is larger than 1 MiB: this is not ${peer.name}`, {
      hint: `check ${peer.setting}`,
    });
  }
  if (result.status === 0) return;
  const code = findErrorCode(result, attempt.proxy);
  const timedOut = remainingMs < DEADLINE_TOLERANCE_MS && code === 'ETIMEDOUT';
  throw explainNetworkError(Object.assign(new Error(code), { code }), { url, peer, timedOut, ...attempt });
}

function parseResponse(output: string, respondedAt: number, { url, peer }: Attempt): HttpResponse {
  const response = parseCurlOutput(output, respondedAt);
  if (response !== undefined) return response;
  throw new KeystoneProtocolError('not-keystone', `the response of ${peer.name} at ${url.origin} is not valid HTTP`, {
    hint: `check ${peer.setting}`,
  });
}

function rejectRedirect(response: HttpResponse, { url, peer }: Attempt): void {
  const location = response.header('location');
  if (location === undefined || response.status < 301 || response.status > 308) return;
  throw explainRedirect(url, location, { peer, isLimitReached: false });
}

/** How long curl may take to connect, in seconds: the connection itself, a proxy, and TLS. */
const CONNECT_SECONDS = 5;

/** Opens an HTTP client that uses curl: it neither retries nor follows redirects. */
export function openNegotiateHttp(settings: HttpSettings, connectSeconds = CONNECT_SECONDS): HttpClient {
  const { host, trustedOrigins, log, deadlineMs, waitFor = waitSilently } = settings;
  let remainingMs = deadlineMs;

  async function sendOnce(request: HttpRequest): Promise<HttpResponse> {
    const { peer = KEYSTONE } = request;
    const url = new URL(request.url);
    if (trustedOrigins?.origins.has(url.origin) === false) throw explainUntrustedOrigin(url, peer, trustedOrigins);
    const curl = await findCurl(host, Math.max(1, remainingMs));
    const tls = restrictTls(settings.tls, url.origin, trustedOrigins);
    const sentAt = host.now();
    const startedAt = performance.now();
    const { proxy } = settings.chooseProxy(url);
    const limits = { connectSeconds, totalMs: remainingMs };
    const config = makeCurlConfig(request, url, limits, { tls, proxy, userAgent: settings.userAgent });
    const result = await runCurl(config, curl, remainingMs);
    const tookMs = performance.now() - startedAt;
    remainingMs -= tookMs;
    const attempt: Attempt = { url, peer, remainingMs, deadlineMs, trustedOrigins, proxy };
    checkResult(result, attempt);
    const response = parseResponse(result.output, (sentAt + host.now()) / 2, attempt);
    for (const [line, level] of describeResponse(request, url, { ...response, tookMs })) log(`${line} (curl)`, level);
    rejectRedirect(response, attempt);
    return response;
  }

  return {
    send: (request) => waitFor(describePeerAt(new URL(request.url), request.peer), () => sendOnce(request)),
    close: () => undefined,
  };
}
