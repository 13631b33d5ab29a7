/**
 * HTTP that is safe for a credential: deadlines, a size limit, retries only if no response came, and redirects only
 * within the origin that the user named.
 */
import type { ClientRequest } from 'node:http';
import type { Got, OptionsInit, RequestError, Response } from 'got';
import { SYSTEM_CLOCK } from '../base/clock.ts';
import type { Clock } from '../base/clock.ts';
import { KeystoneProtocolError, PluginError } from '../base/errors.ts';
import type { Host } from '../base/host.ts';
import { waitSilently } from '../base/long-wait.ts';
import type { WaitFor } from '../base/long-wait.ts';
import { makeAgents } from './agents.ts';
import type { Agents, AgentSettings } from './agents.ts';
import { describeResponse } from './describe-response.ts';
import { explainNetworkError, explainRedirect, explainUntrustedOrigin } from './explain-network-error.ts';
import { measureClockSkew } from './http-message.ts';
import type { HttpRequest, HttpResponse } from './http-message.ts';
import { describePeerAt, KEYSTONE } from './peer.ts';
import { makeProxyError } from './proxy-error.ts';
import type { Peer } from './peer.ts';
import { setLimits } from './request-limits.ts';
import { sendBodyAtOnce, sendDirectly } from './native-request.ts';
import { findSchemeMismatch, findSchemeMismatchOfStatus } from './scheme-mismatch.ts';
import { checkSystemAuthorities } from './system-authorities.ts';
import { makeTimeBudget } from './time-budget.ts';
import type { TimeBudget } from './time-budget.ts';

/** Sends the requests of one run. */
export interface HttpClient {
  /** @throws KeystoneUnreachable | KeystoneProtocolError */
  send(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}

/** A client for the requests of several people. */
export interface SharedHttpClient extends HttpClient {
  /**
   * Makes a client for requests with one credential. Those that change nothing share connections, which no other
   * request uses. Close it when their responses are read.
   */
  separate(): HttpClient;
}

/** What an {@link HttpClient} is made of. */
export interface HttpSettings extends AgentSettings {
  readonly host: Host;
  readonly userAgent: string;
  /** The time that servers have for all requests together, in ms; the time that a user needs does not count. */
  readonly deadlineMs: number;
  /** Times the deadlines of requests; the clock of this machine by default. */
  readonly clock?: Clock;
  /** Waits for each response, its retries and redirects included; without a word by default. */
  readonly waitFor?: WaitFor;
  /**
   * Receives lines about each request, for `--verbose`: requests and statuses at level 2, harmless headers at level 3.
   */
  readonly log: (line: string, level: 2 | 3) => void;
}

const CONNECT_MS = 5_000;

/** Node allows 16 KiB, which has no room for a token of 16 KiB. */
const MAX_HEADERS_BYTES = 32 * 1024;
const MAX_REDIRECTS = 5;

const MAX_RETRY_AFTER_MS = 10_000;
const RETRY_DELAYS_MS = [500, 1_000];

/** Codes of failures before anything was sent. */
const CONNECT_FAILURES = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'ERR_PROXY_UNREACHABLE',
] as const;
const CONNECT_PHASES = ['lookup', 'connect', 'secureConnect'];

/** Codes of a connection that the server has closed. */
const CLOSED_CONNECTION = ['ECONNRESET', 'EPIPE'];

/** Requests that change nothing, so that it does not matter if a server gets one twice (RFC 9110, section 9.2.2). */
const SAFE_VERBS: readonly string[] = ['GET', 'HEAD'];

/** Redirects that keep the method; 303 would turn a login into a GET. */
const REDIRECT_STATUSES = [301, 302, 307, 308];

/** Whether the server closed a shared connection before it sent anything, which only {@link canShareConnection} gets. */
function isClosedBeforeUse({ request, response, code }: RequestError): boolean {
  return request?.reusedSocket === true && response === undefined && CLOSED_CONNECTION.includes(code);
}

function makeRetryOptions({ isSingleUse }: HttpRequest): NonNullable<OptionsInit['retry']> {
  return {
    limit: isSingleUse === true ? 0 : RETRY_DELAYS_MS.length,
    methods: ['GET', 'HEAD', 'POST'],
    statusCodes: [429, 502, 503, 504],
    errorCodes: [...CONNECT_FAILURES, ...CLOSED_CONNECTION],
    maxRetryAfter: MAX_RETRY_AFTER_MS,
    calculateDelay({ attemptCount, error, retryAfter, computedValue }) {
      if (computedValue === 0) return 0;
      if (retryAfter !== undefined) return computedValue;
      if (CLOSED_CONNECTION.includes(error.code)) return isClosedBeforeUse(error) ? 1 : 0;
      // Do not retry if the server limits the rate and does not say when to come back.
      if (error.response?.statusCode === 429) return 0;
      if ('event' in error && !CONNECT_PHASES.includes(String(error.event))) return 0;
      return RETRY_DELAYS_MS[attemptCount - 1] ?? 0;
    },
  };
}

/** The options of every request. They are not those of an extended got, which would copy them once more. */
const COMMON_OPTIONS = {
  followRedirect: false,
  decompress: false,
  maxHeaderSize: MAX_HEADERS_BYTES,
  responseType: 'text',
  timeout: { lookup: CONNECT_MS, connect: CONNECT_MS, secureConnect: CONNECT_MS },
} as const;

/** What sends a request. */
interface SendContext extends Pick<HttpSettings, 'host' | 'userAgent' | 'deadlineMs' | 'trustedOrigins'> {
  readonly got: Got;
  readonly agents: Agents;
  /** Whether the agents serve requests with one credential only. */
  readonly isForOneCredential: boolean;
  readonly budget: TimeBudget;
  readonly clock: Clock;
}

/**
 * Opens a client. It sends nothing yet.
 *
 * @throws ConfigError if the variables for the authorities of this system name something that cannot be read
 */
export async function openHttpClient(settings: HttpSettings): Promise<SharedHttpClient> {
  if (settings.tls.ca === undefined) checkSystemAuthorities(settings.host.env);
  const context = {
    host: settings.host,
    userAgent: settings.userAgent,
    deadlineMs: settings.deadlineMs,
    trustedOrigins: settings.trustedOrigins,
    got: (await import('got')).default,
    budget: makeTimeBudget(settings.deadlineMs),
    clock: settings.clock ?? SYSTEM_CLOCK,
  };
  const { waitFor = waitSilently } = settings;
  const open = (agents: Agents, isForOneCredential: boolean): HttpClient => ({
    send: (request) =>
      waitFor(describePeerAt(new URL(request.url), request.peer), () =>
        followRedirects(request, settings, (url) => sendTo(url, request, { ...context, agents, isForOneCredential })),
      ),
    close() {
      agents.close();
    },
  });
  const agents = makeAgents(settings);
  return { ...open(agents, false), separate: () => open(agents.separate(), true) };
}

async function followRedirects(
  request: HttpRequest,
  { trustedOrigins, log }: Pick<HttpSettings, 'trustedOrigins' | 'log'>,
  send: (url: URL) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const { peer = KEYSTONE } = request;
  let url = new URL(request.url);
  for (let redirects = 0; ; redirects += 1) {
    if (trustedOrigins?.origins.has(url.origin) === false) throw explainUntrustedOrigin(url, peer, trustedOrigins);
    const startedAt = performance.now();
    const response = await send(url);
    const tookMs = performance.now() - startedAt;
    for (const [line, level] of describeResponse(request, url, { ...response, tookMs })) log(line, level);
    const location = response.header('location');
    const isRedirect = location !== undefined && response.status >= 301 && response.status <= 308;
    if (!isRedirect || request.returnsRedirect) return response;
    const next = REDIRECT_STATUSES.includes(response.status) ? resolveRedirect(url, location) : undefined;
    if (next === undefined || redirects === MAX_REDIRECTS) {
      throw explainRedirect(url, location, { peer, isLimitReached: next !== undefined });
    }
    url = next;
  }
}

/** Resolves a redirect that stays with the origin, or with the host if it changes to https. */
function resolveRedirect(from: URL, location: string): URL | undefined {
  if (!URL.canParse(location, from.href)) return undefined;
  const to = new URL(location, from.href);
  const upgraded = from.protocol === 'http:' && to.protocol === 'https:' && from.hostname === to.hostname;
  return to.origin === from.origin || upgraded ? to : undefined;
}

/**
 * Whether a request may use a connection that an earlier one has left open. If the server closes it at that moment,
 * nobody knows whether it got the request (RFC 9112, section 9.3.1), and a credential must not be sent twice: a wrong
 * password would count twice. A response that comes late or twice must not become that of somebody else.
 */
function canShareConnection(
  { verb, headers = {}, isSingleUse, isPoll }: HttpRequest,
  { isForOneCredential }: Pick<SendContext, 'isForOneCredential'>,
): boolean {
  const hasCredential = Object.values(headers).some((value) => typeof value !== 'string');
  const isHarmless = isForOneCredential || (!hasCredential && isSingleUse !== true);
  return SAFE_VERBS.includes(verb) && isHarmless && isPoll !== true;
}

/** Sends a request to `url`, with retries but without redirects. */
async function sendTo(url: URL, request: HttpRequest, context: SendContext): Promise<HttpResponse> {
  const { host, userAgent, got, agents, budget, clock } = context;
  const { peer = KEYSTONE } = request;
  const {
    agent,
    proxy,
    request: send,
  } = agents.choose(url, { hasOwnConnection: !canShareConnection(request, context) });
  const startedAt = clock.monotonicMs();
  const limits = setLimits(request.deadlineMs ?? budget.remainingMs(), peer, clock);
  let sentAt = host.now();
  const pending = got(url, {
    ...COMMON_OPTIONS,
    method: request.verb,
    headers: makeHeaders(request, userAgent),
    agent,
    request: sendBodyAtOnce(send ?? sendDirectly, request.body),
    retry: makeRetryOptions(request),
    signal: limits.signal,
    hooks: {
      beforeRequest: [
        () => {
          sentAt = host.now();
        },
      ],
      beforeRetry: [
        ({ options }) => {
          // The server may close the shared connection during the pause before a retry.
          options.agent = agents.choose(url, { hasOwnConnection: true }).agent;
        },
      ],
    },
  });
  void pending.on('request', (sent: ClientRequest) => {
    limits.watchRequest(sent);
  });
  void pending.on('downloadProgress', ({ transferred }) => {
    limits.watchSize(transferred);
  });
  try {
    const response = await acceptAnyStatus(pending);
    if (send !== undefined && response.statusCode === 407) {
      throw makeProxyError('ERR_PROXY_CREDENTIALS', 'status 407');
    }
    const mismatch = proxy === undefined ? await findSchemeMismatchOfStatus(url, response.statusCode) : undefined;
    if (mismatch !== undefined) throw mismatch;
    return toHttpResponse(response, { sentAt, receivedAt: host.now() }, peer);
  } catch (error) {
    if (limits.fault !== undefined) throw limits.fault;
    if (error instanceof PluginError) throw error;
    const { deadlineMs = context.deadlineMs } = request;
    const { trustedOrigins } = context;
    const timedOut = limits.isDeadlineOver;
    const mismatch = proxy === undefined && !timedOut ? await findSchemeMismatch(url, error) : undefined;
    throw explainNetworkError(mismatch ?? error, { url, peer, timedOut, deadlineMs, trustedOrigins, proxy });
  } finally {
    limits.clear();
    if (!request.isPoll && request.deadlineMs === undefined) budget.spend(clock.monotonicMs() - startedAt);
  }
}

function makeHeaders({ headers = {}, body, isForm }: HttpRequest, userAgent: string): Record<string, string> {
  const result: Record<string, string> = {
    'user-agent': userAgent,
    accept: 'application/json',
    'accept-encoding': 'identity',
  };
  if (body !== undefined) result['content-type'] = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
  for (const [name, value] of Object.entries(headers)) {
    result[name] = typeof value === 'string' ? value : value.reveal();
  }
  return result;
}

/** got throws responses of some statuses so that it can retry; here every status is a response. */
async function acceptAnyStatus(pending: Promise<Response<string>>): Promise<Response<string>> {
  try {
    return await pending;
  } catch (error) {
    const { HTTPError } = await import('got');
    if (error instanceof HTTPError) return error.response;
    throw error;
  }
}

function toHttpResponse(
  response: Response<string>,
  { sentAt, receivedAt }: { readonly sentAt: number; readonly receivedAt: number },
  peer: Peer,
): HttpResponse {
  const respondedAt = (sentAt + receivedAt) / 2;
  const encoding = response.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new KeystoneProtocolError('protocol', 'the response is compressed although no compression was requested', {
      hint: `check the proxies between you and ${peer.name}`,
    });
  }
  return {
    status: response.statusCode,
    header(name) {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    setCookies: response.headers['set-cookie'] ?? [],
    body: response.body,
    respondedAt,
    serverAheadMs: measureClockSkew(response.headers.date, respondedAt, (receivedAt - sentAt) / 2),
  };
}
