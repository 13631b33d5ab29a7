/**
 * Tunnels through an HTTP proxy (CONNECT: RFC 9110, section 9.3.6). The response of the proxy has a limit in bytes,
 * lines and time, because Node's own code waits for the end of its header without any limit.
 */
import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { getErrorCode } from '../base/errors.ts';

/** As long as for any other connection, in ms. */
const CONNECT_MS = 5_000;

/** A proxy answers after it has connected to the server, in ms. */
const RESPONSE_MS = 10_000;

const MAX_HEAD_BYTES = 16 * 1024;
const MAX_HEAD_LINES = 100;
const HEAD_END = '\r\n\r\n';

/** Why a tunnel was not opened: codes for {@link explainNetworkError}. */
type TunnelErrorCode =
  'ERR_PROXY_TUNNEL' | 'ERR_PROXY_CREDENTIALS' | 'ERR_PROXY_RESPONSE' | 'ERR_PROXY_TIMEOUT' | 'ERR_PROXY_TLS';

function makeError(code: TunnelErrorCode, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });
}

/** Returns the host of a URL as a socket takes it: an IPv6 address without brackets. */
export const getSocketHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

/** Returns the port of an http or https URL. */
export const getPort = (url: URL): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80));

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

async function connectToProxy(proxy: URL, tls: ConnectionOptions): Promise<Socket> {
  const host = getSocketHost(proxy);
  const socket = await waitForSocket(connectTcp({ host, port: getPort(proxy) }), 'connect');
  if (proxy.protocol !== 'https:') return socket;
  const options = { ...tls, socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) };
  try {
    return await waitForSocket(connectTls(options), 'secureConnect');
  } catch (error) {
    throw makeError('ERR_PROXY_TLS', `no TLS with the proxy (${getErrorCode(error)})`, error);
  }
}

/** Decodes a part of a URL; a "%" that encodes nothing stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function formatRequest(proxy: URL, target: string): string {
  const userInfo = `${decode(proxy.username)}:${decode(proxy.password)}`;
  const lines = [
    `CONNECT ${target} HTTP/1.1`,
    `Host: ${target}`,
    ...(userInfo === ':' ? [] : [`Proxy-Authorization: Basic ${Buffer.from(userInfo).toString('base64')}`]),
  ];
  return `${lines.join('\r\n')}${HEAD_END}`;
}

/** Why the head of a response does not open a tunnel. */
function findRefusal(head: string): Error | undefined {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r\n|$)/.exec(head)?.[1];
  if (status === undefined) return makeError('ERR_PROXY_RESPONSE', 'not HTTP/1');
  if (status.startsWith('2')) return undefined;
  if (status === '407') return makeError('ERR_PROXY_CREDENTIALS', 'status 407');
  return makeError('ERR_PROXY_TUNNEL', `status ${status}`);
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
      fail(makeError('ERR_PROXY_TUNNEL', 'the proxy closed the connection'));
    };
    const timer = setTimeout(() => {
      fail(makeError('ERR_PROXY_TIMEOUT', 'no complete response'));
    }, RESPONSE_MS);
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf(HEAD_END);
      if (head.length > MAX_HEAD_BYTES || head.split('\n', MAX_HEAD_LINES + 1).length > MAX_HEAD_LINES) {
        fail(makeError('ERR_PROXY_RESPONSE', 'too much before the end of the header'));
      } else if (end >= 0) {
        stop();
        // In TLS, the client speaks first: whatever follows the header is not from the server.
        if (end + HEAD_END.length < head.length && head.startsWith('2', 9)) {
          reject(makeError('ERR_PROXY_RESPONSE', 'data before the connection'));
        } else resolve(head.slice(0, end));
      }
    };
    socket.on('data', onData).once('error', fail).once('close', onClose);
  });
}

/**
 * Opens a tunnel to the server of a URL.
 *
 * @param tls how an https proxy is checked
 * @returns a socket whose other end is the server, without TLS yet
 * @throws an error with a code of `net`, or a {@link TunnelErrorCode}
 */
export async function openTunnel(proxy: URL, url: URL, tls: ConnectionOptions): Promise<Socket> {
  const socket = await connectToProxy(proxy, tls);
  try {
    socket.write(formatRequest(proxy, `${url.hostname}:${getPort(url)}`));
    const refusal = findRefusal(await readHead(socket));
    if (refusal !== undefined) throw refusal;
    return socket;
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  }
}
