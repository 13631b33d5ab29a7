/**
 * Tunnels through a proxy: CONNECT (RFC 9110, section 9.3.6) or SOCKS5. The response of an HTTP proxy has a limit in
 * bytes, lines and time, because Node's own code waits for the end of its header without any limit.
 */
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { getErrorCode } from '../base/errors.ts';
import { isSocks } from './proxy.ts';
import type { Proxy } from './proxy.ts';
import { makeProxyError, RESPONSE_MS } from './proxy-error.ts';
import { getPort, getSocketHost } from './socket-address.ts';

/** As long as for any other connection, in ms. */
const CONNECT_MS = 5_000;

const MAX_HEAD_BYTES = 16 * 1024;
const MAX_HEAD_LINES = 100;
const HEAD_END = '\r\n\r\n';

/**
 * Waits for an event of a socket.
 *
 * @param maxMs when to give up with ETIMEDOUT, in ms
 * @throws the error of the socket, which is then destroyed
 */
export async function waitForSocket<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  maxMs: number = CONNECT_MS,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
    }, maxMs);
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    const onClose = (): void => {
      onError(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    };
    socket.once('error', onError).once('close', onClose);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off('error', onError).off('close', onClose);
      resolve(socket);
    });
  });
}

/**
 * Connects to a proxy.
 *
 * @param tls how an https proxy is checked
 * @throws an error of {@link makeProxyError}
 */
export async function connectToProxy(proxy: Proxy, tls: ConnectionOptions): Promise<Socket> {
  const { host, port } = proxy;
  const socket = await waitForSocket(connectTcp({ host, port }), 'connect').catch((error: unknown) => {
    throw explainUnreachableProxy(error);
  });
  if (proxy.scheme !== 'https') return socket;
  const options = { ...tls, socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) };
  try {
    return await waitForSocket(connectTls(options), 'secureConnect');
  } catch (error) {
    throw makeProxyError('ERR_PROXY_TLS', `no TLS with the proxy (${getErrorCode(error)})`, error);
  }
}

/** Says of a failed connection that it was the one to the proxy. */
export function explainUnreachableProxy(error: unknown): Error {
  const code = getErrorCode(error);
  return makeProxyError(code === 'ENOTFOUND' ? 'ERR_PROXY_UNKNOWN' : 'ERR_PROXY_UNREACHABLE', code, error);
}

/** Returns the value of the header Proxy-Authorization; undefined without credentials. */
export function makeProxyAuthorization({ credentials }: Proxy): string | undefined {
  if (credentials === undefined) return undefined;
  return `Basic ${Buffer.from(`${credentials.user}:${credentials.password.reveal()}`).toString('base64')}`;
}

function formatRequest(proxy: Proxy, target: string): string {
  const authorization = makeProxyAuthorization(proxy);
  const lines = [
    `CONNECT ${target} HTTP/1.1`,
    `Host: ${target}`,
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  return `${lines.join('\r\n')}${HEAD_END}`;
}

/** Why the head of a response does not open a tunnel. */
function findRefusal(head: string): Error | undefined {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r\n|$)/.exec(head)?.[1];
  if (status === undefined) return makeProxyError('ERR_PROXY_RESPONSE', 'not HTTP/1');
  if (status.startsWith('2')) return undefined;
  if (status === '407') return makeProxyError('ERR_PROXY_CREDENTIALS', 'status 407');
  return makeProxyError('ERR_PROXY_TUNNEL', `status ${status}`);
}

/** Reads the head of the proxy's response. */
async function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = '';
    const stop = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', fail).off('close', onClose).pause();
    };
    const fail = (error: Error): void => {
      stop();
      reject(error);
    };
    const onClose = (): void => {
      fail(makeProxyError('ERR_PROXY_TUNNEL', 'the proxy closed the connection'));
    };
    const timer = setTimeout(() => {
      fail(makeProxyError('ERR_PROXY_TIMEOUT', 'no complete response'));
    }, RESPONSE_MS);
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf(HEAD_END);
      if (head.length > MAX_HEAD_BYTES || head.split('\n', MAX_HEAD_LINES + 1).length > MAX_HEAD_LINES) {
        fail(makeProxyError('ERR_PROXY_RESPONSE', 'too much before the end of the header'));
      } else if (end >= 0) {
        stop();
        // In TLS, the client speaks first: whatever follows the header is not from the server.
        if (end + HEAD_END.length < head.length && head.startsWith('2', 9)) {
          reject(makeProxyError('ERR_PROXY_RESPONSE', 'data before the connection'));
        } else resolve(head.slice(0, end));
      }
    };
    socket.on('data', onData).once('error', fail).once('close', onClose);
  });
}

async function requestTunnel(socket: Socket, proxy: Proxy, url: URL): Promise<void> {
  socket.write(formatRequest(proxy, `${url.hostname}:${getPort(url)}`));
  const refusal = findRefusal(await readHead(socket));
  if (refusal !== undefined) throw refusal;
}

/** Asks a proxy, to which a socket is connected, for a tunnel to the server of a URL. */
type RequestTunnel = (socket: Socket, proxy: Proxy, url: URL) => Promise<void>;

async function loadSocks(): Promise<RequestTunnel> {
  const { connectThroughSocks } = await import('./socks.ts');
  return (socket, proxy, url) => connectThroughSocks(socket, proxy, { host: getSocketHost(url), port: getPort(url) });
}

/**
 * Opens a tunnel to the server of a URL.
 *
 * @param tls how an https proxy is checked
 * @returns a socket whose other end is the server, without TLS yet
 * @throws an error of {@link makeProxyError}, or one with a code of `net`
 */
export async function openTunnel(proxy: Proxy, url: URL, tls: ConnectionOptions): Promise<Socket> {
  // Before there is a socket, whose errors somebody must await.
  const request = isSocks(proxy) ? await loadSocks() : requestTunnel;
  const socket = await connectToProxy(proxy, tls);
  try {
    await request(socket, proxy, url);
    return socket;
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  }
}
