/**
 * HTTP as it is safe for a credential: deadlines, a size limit, retries only where no answer came, and redirects only
 * within the origin that the user named.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { AgentOptions } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Got, OptionsInit, Response } from 'got';
import type { TlsSettings } from './tls-settings.ts';
import type { TrustedOrigins } from './trusted-origins.ts';
import { KeystoneProtocolError, PluginError } from '../base/errors.ts';
import type { Environment, Host } from '../base/host.ts';
import type { Secret } from '../base/secret.ts';
import { redactAndTruncate } from '../base/text.ts';
import { KEYSTONE } from './peer.ts';
import type { Peer } from './peer.ts';
import { explainNetworkError, explainRedirect, explainUntrustedOrigin } from './explain-network-error.ts';

/** A request, to Keystone if nothing else is said. */
export interface HttpRequest {
  readonly verb: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, Secret | string>>;
  /** JSON text, or a form where `form` is set. */
  readonly body?: string;
  readonly isForm?: true;
  readonly peer?: Peer;
  /** It holds what works once, such as a passcode: it is never sent twice. */
  readonly isSingleUse?: true;
  /** Asked again and again while a person does something elsewhere: it takes nothing from the deadline of the rest. */
  readonly isPoll?: true;
  /** What this request has, in ms, where it is not one of a run that has a deadline for all of them. */
  readonly deadlineMs?: number;
}

/** An answer of whatever status, its body at most 1 MiB. */
export interface HttpResponse {
  readonly status: number;
  header(name: string): string | undefined;
  readonly body: string;
  /** Midpoint of sending and receiving by this machine's clock, ms since 1970, UTC. */
  readonly respondedAt: number;
  /** How far the server's clock is ahead of ours, in ms; 0 where it cannot be told or is too small to matter. */
  readonly serverAheadMs: number;
}

/** The way to Keystone, and to what stands behind it, for the length of a run. */
export interface HttpClient {
  /** @throws KeystoneUnreachable | KeystoneProtocolError */
  send(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}

/** What an {@link HttpClient} is made of. */
export interface HttpSettings {
  readonly host: Host;
  readonly tls: TlsSettings;
  /** Where anything may be sent at all; undefined means anywhere. */
  readonly trustedOrigins: TrustedOrigins | undefined;
  /** `https_proxy` and `no_proxy`; a plain http:// never goes through a proxy. */
  readonly proxyEnv: Environment;
  /** The name that the server's certificate must be for, where that is not its host. */
  readonly serverName?: string | undefined;
  readonly userAgent: string;
  /** For everything together that servers are waited for, in ms; what a person takes does not count. */
  readonly deadlineMs: number;
  /** Takes lines about each request, for `--verbose`: at level 2 what was asked and answered, at 3 the harmless headers. */
  readonly log: (line: string, level: 2 | 3) => void;
}

const CONNECT_MS = 5_000;
const MAX_BODY_BYTES = 1024 * 1024;

/** Node allows 16 KiB, in which a token of 16 KiB has no room. */
const MAX_HEADERS_BYTES = 32 * 1024;
const MAX_REDIRECTS = 5;

/** A smaller difference is the resolution of the Date header and the time on the way. */
const MIN_SKEW_MS = 5_000;

const MAX_RETRY_AFTER_MS = 10_000;
const RETRY_DELAYS_MS = [500, 1_000];

/** Codes of failures before anything was sent. */
const CONNECT_FAILURES = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'ETIMEDOUT'] as const;
const CONNECT_PHASES = ['lookup', 'connect', 'secureConnect'];

/** Redirects that keep the method; 303 would turn a login into a GET. */
const REDIRECTS = [301, 302, 307, 308];

/** Node's agents speak to proxies themselves; the types do not know that yet. */
type ProxyAgentOptions = AgentOptions & { proxyEnv: NodeJS.ProcessEnv };

function authorities({ ca }: TlsSettings): string[] {
  // A certificate of the system's store must do, as it does for the Go program and for curl; where a system has no
  // such store, as in a bare container, those that come with Node do. Not Node's "default": NODE_EXTRA_CA_CERTS, which
  // a kubeconfig may set, adds to that.
  return ca === undefined ? [...getCACertificates('bundled'), ...getCACertificates('system')] : [ca];
}

/** How TLS is spoken. */
export function makeTlsOptions(tls: TlsSettings): AgentOptions {
  return {
    // Explicit, or NODE_TLS_REJECT_UNAUTHORIZED=0 in a kubeconfig would decide.
    rejectUnauthorized: !tls.insecure,
    minVersion: 'TLSv1.2',
    ...(tls.insecure ? {} : { ca: authorities(tls) }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
  };
}

function retryOptions(once: boolean): NonNullable<OptionsInit['retry']> {
  return {
    limit: once ? 0 : RETRY_DELAYS_MS.length,
    methods: ['GET', 'HEAD', 'POST'],
    statusCodes: [429, 502, 503, 504],
    errorCodes: [...CONNECT_FAILURES],
    maxRetryAfter: MAX_RETRY_AFTER_MS,
    calculateDelay({ attemptCount, error, retryAfter, computedValue }) {
      if (computedValue === 0) return 0;
      if (retryAfter !== undefined) return computedValue;
      // A server that limits us without saying until when is left alone.
      if (error.response?.statusCode === 429) return 0;
      if ('event' in error && !CONNECT_PHASES.includes(String(error.event))) return 0;
      return RETRY_DELAYS_MS[attemptCount - 1] ?? 0;
    },
  };
}

/** Where a redirect leads, if it stays with the origin, or with the host while it turns to https. */
function followable(from: URL, location: string): URL | undefined {
  if (!URL.canParse(location, from.href)) return undefined;
  const to = new URL(location, from.href);
  const upgraded = from.protocol === 'http:' && to.protocol === 'https:' && from.hostname === to.hostname;
  return to.origin === from.origin || upgraded ? to : undefined;
}

/** Opens the way to Keystone. Nothing is sent yet. */
export async function openHttpClient(settings: HttpSettings): Promise<HttpClient> {
  const { host, tls, trustedOrigins, proxyEnv, serverName, userAgent, deadlineMs, log } = settings;
  const { default: got } = await import('got');
  let leftMs = deadlineMs;
  const proxied: ProxyAgentOptions = {
    keepAlive: true,
    proxyEnv: { ...proxyEnv },
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
  // Made on first use: reading the system's authorities takes time that a plain http:// never needs.
  let https: HttpsAgent | undefined;
  const http = new HttpAgent({ keepAlive: true });
  // Node's agents give their authorities to the server only; a proxy of https is held to the default ones.
  if (/^https:/i.test(proxyEnv['https_proxy'] ?? '')) setDefaultCACertificates(authorities(tls));

  /** A kept connection may be closed by its other end at any moment; what is not sent again must not be lost with it. */
  function chooseAgent(url: URL, { isSingleUse, isPoll }: HttpRequest): { https: HttpsAgent } | { http: HttpAgent } {
    const fresh = isSingleUse === true || isPoll === true;
    if (url.protocol !== 'https:') return { http: fresh ? new HttpAgent() : http };
    if (fresh) return { https: new HttpsAgent({ ...makeTlsOptions(tls), ...proxied, keepAlive: false }) };
    return { https: (https ??= new HttpsAgent({ ...makeTlsOptions(tls), ...proxied })) };
  }

  const client: Got = got.extend({
    followRedirect: false,
    decompress: false,
    maxHeaderSize: MAX_HEADERS_BYTES,
    responseType: 'text',
    headers: { 'user-agent': userAgent, accept: 'application/json', 'accept-encoding': 'identity' },
    timeout: { lookup: CONNECT_MS, connect: CONNECT_MS, secureConnect: CONNECT_MS },
  });

  async function exchange(url: URL, request: HttpRequest): Promise<HttpResponse> {
    const { peer = KEYSTONE } = request;
    const began = performance.now();
    const deadline = AbortSignal.timeout(Math.max(1, Math.ceil(request.deadlineMs ?? leftMs)));
    const stop = new AbortController();
    const agent = chooseAgent(url, request);
    const type = request.isForm ? 'application/x-www-form-urlencoded' : 'application/json';
    const headers: Record<string, string> = request.body === undefined ? {} : { 'content-type': type };
    for (const [name, value] of Object.entries(request.headers ?? {})) {
      headers[name] = typeof value === 'string' ? value : value.reveal();
    }
    const state = { sent: host.now(), tooLarge: false };
    const pending = client(url, {
      method: request.verb,
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      agent,
      retry: retryOptions(request.isSingleUse === true),
      signal: AbortSignal.any([deadline, stop.signal]),
      hooks: {
        beforeRequest: [
          () => {
            state.sent = host.now();
          },
        ],
      },
    });
    void pending.on('downloadProgress', ({ transferred }) => {
      if (transferred <= MAX_BODY_BYTES) return;
      state.tooLarge = true;
      stop.abort();
    });
    try {
      return toAnswer(await settle(pending), (state.sent + host.now()) / 2, peer);
    } catch (error) {
      if (state.tooLarge) {
        throw new KeystoneProtocolError('protocol', `the answer is larger than 1 MiB: this is not ${peer.name}`);
      }
      if (error instanceof PluginError) throw error;
      throw explainNetworkError(error, {
        url,
        peer,
        timedOut: deadline.aborted,
        deadlineMs: request.deadlineMs ?? deadlineMs,
      });
    } finally {
      if (!request.isPoll && request.deadlineMs === undefined) leftMs -= performance.now() - began;
    }
  }

  return {
    async send(request) {
      let url = new URL(request.url);
      for (let redirects = 0; ; redirects += 1) {
        if (trustedOrigins?.origins.has(url.origin) === false)
          throw explainUntrustedOrigin(url, request.peer ?? KEYSTONE, trustedOrigins);
        const began = performance.now();
        const answer = await exchange(url, request);
        const tookMs = performance.now() - began;
        for (const [line, level] of describeExchange(request, url, { ...answer, tookMs })) log(line, level);
        const location = answer.header('location');
        if (location === undefined || answer.status < 301 || answer.status > 308) return answer;
        const next = REDIRECTS.includes(answer.status) ? followable(url, location) : undefined;
        if (next === undefined || redirects === MAX_REDIRECTS) {
          throw explainRedirect(url, location, { peer: request.peer ?? KEYSTONE, isLimitReached: next !== undefined });
        }
        url = next;
      }
    },
    close() {
      http.destroy();
      https?.destroy();
    },
  };
}

/** Headers of answers that hold nothing of anybody's. */
const HARMLESS_HEADERS = [
  'content-type',
  'content-length',
  'date',
  'server',
  'via',
  'retry-after',
  'vary',
  'connection',
  'x-openstack-request-id',
];

/** What `--verbose` says of a request and its answer: the line of each level. */
export function describeExchange(
  { verb }: HttpRequest,
  { origin, pathname }: URL,
  answer: HttpResponse & { readonly tookMs: number },
): readonly (readonly [line: string, level: 2 | 3])[] {
  const { status, tookMs } = answer;
  const id = answer.header('x-openstack-request-id');
  const answered = `${verb} ${origin}${pathname} answered ${String(status)} in ${String(Math.round(tookMs))} ms`;
  const headers = HARMLESS_HEADERS.flatMap((name) => {
    const value = answer.header(name);
    return value === undefined ? [] : [`${name}: ${value}`];
  });
  return [
    [redactAndTruncate(`${answered}${id === undefined ? '' : ` (${id})`}`), 2],
    [redactAndTruncate(`its headers, as far as they are harmless: ${headers.join(', ')}`), 3],
  ];
}

/** An answer is an answer whatever its status; got throws some of them so that it can retry. */
async function settle(pending: Promise<Response<string>>): Promise<Response<string>> {
  try {
    return await pending;
  } catch (error) {
    const { HTTPError } = await import('got');
    if (error instanceof HTTPError) return error.response;
    throw error;
  }
}

/** How far a server's clock is ahead of ours, in ms, by its `Date` header; 0 where that cannot be told. */
export function measureClockSkew(date: string | undefined, at: number): number {
  const skew = Date.parse(date ?? '') - at;
  return Math.abs(skew) > MIN_SKEW_MS ? skew : 0;
}

function toAnswer(response: Response<string>, respondedAt: number, { name: who }: Peer): HttpResponse {
  const encoding = response.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new KeystoneProtocolError('protocol', 'the answer came compressed although that was not asked for', {
      hint: `check what stands between you and ${who}`,
    });
  }
  return {
    status: response.statusCode,
    header(name) {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: response.body,
    respondedAt,
    serverAheadMs: measureClockSkew(response.headers.date, respondedAt),
  };
}
