/**
 * Runs the system's curl for one HTTP request. The whole request is on stdin, because every user of the machine can
 * read the arguments of a process.
 */
import { execFile, spawn } from 'node:child_process';
import { PluginError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import { measureClockSkew } from '../../shared/http/http-message.ts';
import type { HttpRequest, HttpResponse } from '../../shared/http/http-message.ts';
import { describeProxy, isSocks } from '../../shared/http/proxy.ts';
import type { Proxy } from '../../shared/http/proxy.ts';
import { isFolder } from '../../shared/http/tls-settings.ts';
import type { TlsSettings } from '../../shared/http/tls-settings.ts';
import { makeKerberosEnvironment } from '../programs/environment.ts';
import { findTrustedProgram } from '../programs/find-program.ts';

/** A body of 1 MiB, with headers. */
const MAX_OUTPUT_BYTES = 1024 * 1024 + 64 * 1024;

/** How one run of curl ended. */
export interface CurlResult {
  /** Exit status; null when a signal killed curl. */
  readonly status: number | null;
  readonly output: string;
  readonly isTooLarge: boolean;
}

/** Formats one line of a configuration file; quoted values can hold any character (curl manual, "--config"). */
function formatLine(name: string, value?: string): string {
  if (value === undefined) return name;
  const quoted = value
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `${name} = "${quoted}"`;
}

function formatTls({ insecure, paths }: TlsSettings): string[] {
  return [
    'tlsv1.2',
    ...(insecure ? ['insecure'] : []),
    ...(paths.ca === undefined ? [] : [formatLine(isFolder(paths.ca) ? 'capath' : 'cacert', paths.ca)]),
    ...(paths.cert === undefined ? [] : [formatLine('cert', paths.cert)]),
    ...(paths.key === undefined ? [] : [formatLine('key', paths.key)]),
  ];
}

/** Formats what this program has decided: curl reads no variables of its own, and gets the port, which it guesses. */
function formatProxy(proxy: Proxy | undefined, { paths }: TlsSettings): string[] {
  if (proxy === undefined) return [formatLine('noproxy', '*')];
  const { credentials } = proxy;
  // For curl, socks5:// means that it resolves the name of the server itself.
  const server = isSocks(proxy) ? { ...proxy, scheme: 'socks5h' as const } : proxy;
  const userInfo = [credentials?.user ?? '', credentials?.password.reveal() ?? ''].map(encodeURIComponent).join(':');
  const url = describeProxy(server).replace('//', () => (credentials === undefined ? '//' : `//${userInfo}@`));
  return [
    formatLine('proxy', url),
    formatLine('noproxy', ''),
    'suppress-connect-headers',
    ...(paths.ca === undefined ? [] : [formatLine(isFolder(paths.ca) ? 'proxy-capath' : 'proxy-cacert', paths.ca)]),
  ];
}

function formatHeaders(headers: HttpRequest['headers'] = {}): string[] {
  return Object.entries(headers).map(([name, value]) =>
    formatLine('header', `${name}: ${typeof value === 'string' ? value : value.reveal()}`),
  );
}

/** Makes the configuration file of curl for one request with Negotiate. */
export function makeCurlConfig(
  request: HttpRequest,
  url: URL,
  { connectSeconds, totalMs }: { readonly connectSeconds: number; readonly totalMs: number },
  { tls, proxy, userAgent }: { tls: TlsSettings; proxy: Proxy | undefined; userAgent: string },
): string {
  return [
    formatLine('url', url.href),
    formatLine('request', request.verb),
    'negotiate',
    // An empty user name means the principal of the ticket.
    formatLine('user', ':'),
    formatLine('proto', `=${url.protocol.slice(0, -1)}`),
    ...formatTls(tls),
    ...formatProxy(proxy, tls),
    formatLine('connect-timeout', String(connectSeconds)),
    formatLine('max-time', String(Math.max(1, Math.ceil(totalMs / 1000)))),
    // Negotiate authenticates a connection, and HTTP/2 shares one connection among all requests.
    'http1.1',
    'globoff',
    'silent',
    'include',
    // The last line of the output, see parseCurlOutput.
    formatLine('write-out', '\n%{http_connect} %{proxy_ssl_verify_result} %{http_code}'),
    formatLine('user-agent', userAgent),
    formatLine('header', 'Accept: application/json'),
    formatLine('header', 'Expect:'),
    ...formatHeaders(request.headers),
    ...(request.body === undefined
      ? []
      : [formatLine('header', 'Content-Type: application/json'), formatLine('data-raw', request.body)]),
    '',
  ].join('\n');
}

function explainMissingCurl(problem: string, cause?: unknown): PluginError {
  return new PluginError('unsupported', `logging in with Kerberos needs curl, ${problem}`, {
    hint: 'install curl with GSS-API, which the curl packages of most systems include, or use another auth method',
    cause,
  });
}

/** The curl of the system, and the environment that it gets. */
export interface Curl {
  readonly path: string;
  readonly env: Record<string, string>;
}

/**
 * Finds a curl with Negotiate.
 *
 * @param timeoutMs how long curl may take to say what it can do
 * @throws PluginError (unsupported) when there is none
 * @throws ConfigError if a kubeconfig says where the tickets are
 */
export async function findCurl(host: Host, timeoutMs: number): Promise<Curl> {
  const env = makeKerberosEnvironment(host);
  const path = findTrustedProgram('curl', host);
  if (path === undefined) throw explainMissingCurl('which cannot be run here');
  return new Promise((resolve, reject) => {
    execFile(path, ['-q', '--version'], { env, timeout: Math.ceil(timeoutMs), windowsHide: true }, (error, stdout) => {
      if (error !== null) reject(explainMissingCurl('which cannot be run here', error));
      else if (/^Features:.*\bSPNEGO\b/m.test(stdout)) resolve({ path, env });
      else reject(explainMissingCurl('but the installed curl is built without SPNEGO (GSS-API)'));
    });
  });
}

/**
 * Runs curl with a configuration file.
 *
 * @throws PluginError (unsupported) when curl cannot be started
 */
export function runCurl(config: string, { path, env }: Curl, timeoutMs: number): Promise<CurlResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, ['-q', '--config', '-'], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
      // In case the timeout of curl fails.
      timeout: Math.ceil(timeoutMs) + 1_000,
      killSignal: 'SIGKILL',
      windowsHide: true,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.once('error', (error) => {
      reject(explainMissingCurl('which cannot be run here', error));
    });
    child.once('close', (status) => {
      resolve({ status, output: Buffer.concat(chunks).toString(), isTooLarge: size > MAX_OUTPUT_BYTES });
    });
    // A curl that exits early does not read stdin; its exit status tells the reason.
    child.stdin.on('error', () => undefined).end(config);
  });
}

function parseHeaders(fields: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const field of fields) {
    const [, name, value = ''] = /^([^:\s]+):(.*)$/s.exec(field) ?? [];
    const key = name?.toLowerCase();
    if (key !== undefined && !headers.has(key)) headers.set(key, value.trim());
  }
  return headers;
}

/** What curl writes at the end of its output, however it ends. */
const SUMMARY = /\n(\d{3}) (\d+) (\d{3})$/;

/** How the proxy ended a run of curl that failed. */
export interface ProxyOutcome {
  /** The status of its response to CONNECT; 0 without one. */
  readonly connectStatus: number;
  /** Whether its certificate was not accepted. */
  readonly isUntrusted: boolean;
}

/** Reads from the output of curl how the proxy ended the run. */
export function parseProxyOutcome(output: string): ProxyOutcome {
  const [, connectStatus = '0', verifyResult = '0'] = SUMMARY.exec(output) ?? [];
  return { connectStatus: Number(connectStatus), isUntrusted: verifyResult !== '0' };
}

/**
 * Parses the output of curl and returns the last response; earlier ones are challenges. The status that curl writes at
 * the end must match, because a body can look like another response.
 *
 * @param respondedAt ms since 1970, UTC
 * @returns undefined when the output is not valid HTTP
 */
export function parseCurlOutput(output: string, respondedAt: number): HttpResponse | undefined {
  const [summary = '', , , writtenStatus] = SUMMARY.exec(output) ?? [];
  let rest = output.slice(0, output.length - summary.length);
  let head: string[] | undefined;
  while (rest.startsWith('HTTP/')) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    head = rest.slice(0, end).split('\r\n');
    rest = rest.slice(end + 4);
  }
  const status = /^HTTP\/[\d.]+ (\d{3})/.exec(head?.[0] ?? '')?.[1];
  if (head === undefined || status === undefined || status !== writtenStatus) return undefined;
  const headers = parseHeaders(head.slice(1));
  const serverAheadMs = measureClockSkew(headers.get('date'), respondedAt);
  return {
    status: Number(status),
    header: (name) => headers.get(name),
    setCookies: [],
    body: rest,
    respondedAt,
    serverAheadMs,
  };
}
