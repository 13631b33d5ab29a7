/**
 * HTTP with what the user's Kerberos tickets prove (RFC 4559, "Negotiate"). Node has no GSS-API, and the packages that
 * bring one download programs when they are installed; so the system's curl makes this one request. All it gets is on
 * its stdin: arguments can be read by every user of the machine.
 */
import { execFile, spawn } from 'node:child_process';
import { KeystoneProtocolError, PluginError } from '../../shared/base/errors.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import {
  explainNetworkError,
  explainRedirect,
  explainUntrustedOrigin,
} from '../../shared/http/explain-network-error.ts';
import { describeExchange, KEYSTONE, measureClockSkew } from '../../shared/http/http-client.ts';
import type { HttpClient, HttpResponse, HttpRequest, HttpSettings } from '../../shared/http/http-client.ts';
import { makeKerberosEnvironment } from './principal.ts';

const CONNECT_SECONDS = 5;
const LARGEST_ANSWER_BYTES = 1024 * 1024 + 64 * 1024;
const HOW_TO_INSTALL = 'install curl with GSS-API, as the curl packages of most systems are; or log in another way';

/** Ends of curl (its manual, "EXIT CODES"), by the names of Node's failures that say the same. */
const FAILURES: Readonly<Partial<Record<number, string>>> = {
  5: 'ERR_PROXY_TUNNEL',
  6: 'ENOTFOUND',
  7: 'ECONNREFUSED',
  28: 'ETIMEDOUT',
  35: 'ERR_SSL_SSL_TLS_ALERT_HANDSHAKE_FAILURE',
  52: 'ECONNRESET',
  56: 'ECONNRESET',
  60: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  97: 'ERR_PROXY_TUNNEL',
};

/** One line of curl's configuration file; quoted, a value can hold anything (its manual, "--config"). */
function line(name: string, value?: string): string {
  if (value === undefined) return name;
  const quoted = value
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `${name} = "${quoted}"`;
}

function tlsLines({ insecure, paths }: TlsSettings): string[] {
  return [
    'tlsv1.2',
    ...(insecure ? ['insecure'] : []),
    ...(paths.ca === undefined ? [] : [line('cacert', paths.ca)]),
    ...(paths.cert === undefined ? [] : [line('cert', paths.cert)]),
    ...(paths.key === undefined ? [] : [line('key', paths.key)]),
  ];
}

function proxyLines(url: URL, proxy: HttpSettings['proxyEnv']): string[] {
  const { https_proxy: to, no_proxy: without } = proxy;
  // Plain http goes to this machine, and never through a proxy.
  if (to === undefined || url.protocol === 'http:') return [line('noproxy', '*')];
  return [line('proxy', to), line('noproxy', without ?? ''), 'suppress-connect-headers'];
}

function configure(request: HttpRequest, url: URL, leftMs: number, { tls, proxyEnv, userAgent }: HttpSettings): string {
  const headers = Object.entries(request.headers ?? {}).map(([name, value]) =>
    line('header', `${name}: ${typeof value === 'string' ? value : value.reveal()}`),
  );
  return [
    line('url', url.href),
    line('request', request.verb),
    'negotiate',
    // Whoever the ticket is for.
    line('user', ':'),
    line('proto', `=${url.protocol.slice(0, -1)}`),
    ...tlsLines(tls),
    ...proxyLines(url, proxyEnv),
    line('connect-timeout', String(CONNECT_SECONDS)),
    line('max-time', String(Math.max(1, Math.ceil(leftMs / 1000)))),
    // Negotiate proves a connection, and HTTP/2 has only one for all.
    'http1.1',
    'globoff',
    'silent',
    'include',
    line('write-out', '\n%{http_code}'),
    line('user-agent', userAgent),
    line('header', 'Accept: application/json'),
    line('header', 'Expect:'),
    ...headers,
    ...(request.body === undefined
      ? []
      : [line('header', 'Content-Type: application/json'), line('data-raw', request.body)]),
    '',
  ].join('\n');
}

function missingCurl(what: string, cause?: unknown): PluginError {
  return new PluginError('unsupported', `logging in with Kerberos needs curl, ${what}`, {
    hint: HOW_TO_INSTALL,
    cause,
  });
}

/** @throws PluginError where there is no curl that speaks Negotiate */
function requireCurl(env: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('curl', ['-q', '--version'], { env, timeout: 5_000, windowsHide: true }, (error, stdout) => {
      if (error !== null) reject(missingCurl('which cannot be run here', error));
      else if (/^Features:.*\bSPNEGO\b/m.test(stdout)) resolve();
      else reject(missingCurl('and the one here is built without SPNEGO (GSS-API)'));
    });
  });
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly tooLarge: boolean;
}

function runCurl(config: string, env: Record<string, string>, leftMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn('curl', ['-q', '--config', '-'], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
      // Should its own clock fail it.
      timeout: Math.ceil(leftMs) + 1_000,
      killSignal: 'SIGKILL',
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > LARGEST_ANSWER_BYTES) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.once('error', (error) => {
      reject(missingCurl('which cannot be run here', error));
    });
    child.once('close', (status) => {
      resolve({ status, output: Buffer.concat(chunks).toString(), tooLarge: size > LARGEST_ANSWER_BYTES });
    });
    // One that ends early does not read; how it ended is what counts.
    child.stdin.on('error', () => undefined).end(config);
  });
}

/**
 * Splits what curl printed; of several answers on the way, such as a challenge, the last one counts. That it is the last
 * one is what curl's own word for the status, at the end, is for: a body could look like another answer.
 */
function parseAnswer(output: string, respondedAt: number): HttpResponse | undefined {
  const [, last] = /\n(\d{3})$/.exec(output) ?? [];
  let rest = output.slice(0, -4);
  let head: string[] | undefined;
  while (rest.startsWith('HTTP/')) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    head = rest.slice(0, end).split('\r\n');
    rest = rest.slice(end + 4);
  }
  const status = /^HTTP\/[\d.]+ (\d{3})/.exec(head?.[0] ?? '')?.[1];
  if (head === undefined || status === undefined || status !== last) return undefined;
  const headers = new Map<string, string>();
  for (const field of head.slice(1)) {
    const [, name, value] = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(field) ?? [];
    const key = name?.toLowerCase();
    if (key !== undefined && value !== undefined && !headers.has(key)) headers.set(key, value);
  }
  const serverAheadMs = measureClockSkew(headers.get('date'), respondedAt);
  return { status: Number(status), header: (name) => headers.get(name), body: rest, respondedAt, serverAheadMs };
}

/** HTTP through the system's curl: no retries, no redirects. */
export function openNegotiateHttp(settings: HttpSettings): HttpClient {
  const { host, trustedOrigins, log, deadlineMs } = settings;
  let leftMs = deadlineMs;
  return {
    async send(request) {
      const { peer = KEYSTONE } = request;
      const url = new URL(request.url);
      if (trustedOrigins?.origins.has(url.origin) === false) throw explainUntrustedOrigin(url, peer, trustedOrigins);
      const env = makeKerberosEnvironment(host);
      await requireCurl(env);
      const sent = host.now();
      const began = performance.now();
      const { status, output, tooLarge } = await runCurl(configure(request, url, leftMs, settings), env, leftMs);
      leftMs -= performance.now() - began;
      if (tooLarge) {
        throw new KeystoneProtocolError('protocol', `the answer is larger than 1 MiB: this is not ${peer.name}`);
      }
      if (status !== 0) {
        const code = FAILURES[status ?? 28] ?? `curl ended with ${String(status)}`;
        const timedOut = leftMs < 500 && code === 'ETIMEDOUT';
        throw explainNetworkError(Object.assign(new Error(code), { code }), { url, peer, timedOut, deadlineMs });
      }
      const answer = parseAnswer(output, (sent + host.now()) / 2);
      if (answer === undefined) {
        throw new KeystoneProtocolError('not-keystone', `${peer.name} at ${url.origin} answered with no valid HTTP`, {
          hint: `check ${peer.setting}`,
        });
      }
      const tookMs = performance.now() - began;
      for (const [line, level] of describeExchange(request, url, { ...answer, tookMs })) log(`${line} (curl)`, level);
      const location = answer.header('location');
      if (location !== undefined && answer.status >= 301 && answer.status <= 308) {
        throw explainRedirect(url, location, { peer, isLimitReached: false });
      }
      return answer;
    },
    close: () => undefined,
  };
}
