/** Connections through a SOCKS5 proxy (RFC 1928, RFC 1929). Only a run with such a proxy loads this file. */
import type { Socket } from 'node:net';
import { SocksClient } from 'socks';
import type { Proxy } from './proxy.ts';
import { makeProxyError, RESPONSE_MS } from './proxy-error.ts';

/** The package has texts, not codes. */
const REASONS: readonly (readonly [text: RegExp, ...reason: Parameters<typeof makeProxyError>])[] = [
  [/authentication failed|no accepted authentication/i, 'ERR_PROXY_CREDENTIALS', 'the credentials are not accepted'],
  [/rejected connection/i, 'ERR_PROXY_TUNNEL', 'the proxy rejects the connection'],
  [/timed out/i, 'ERR_PROXY_TIMEOUT', 'no complete response'],
  [/socket closed|ECONNRESET|EPIPE/i, 'ERR_PROXY_TUNNEL', 'the proxy closed the connection'],
];

/** Leaves out the error of the package, which holds the password. */
function explainError(error: unknown): Error {
  const text = error instanceof Error ? error.message : '';
  const [, ...reason] = REASONS.find(([pattern]) => pattern.test(text)) ?? [];
  return reason.length === 0 ? makeProxyError('ERR_PROXY_RESPONSE', 'not SOCKS5') : makeProxyError(...reason);
}

/**
 * Has a SOCKS5 proxy connect a socket to a server. The proxy resolves the name of the server, as in Go.
 *
 * @param socket is connected to the proxy
 * @param destination has no brackets around an IPv6 address
 * @throws an error of {@link makeProxyError}
 */
export async function connectThroughSocks(
  socket: Socket,
  { host, port, credentials }: Proxy,
  destination: { readonly host: string; readonly port: number },
): Promise<void> {
  const login = credentials === undefined ? {} : { userId: credentials.user, password: credentials.password.reveal() };
  try {
    await SocksClient.createConnection({
      command: 'connect',
      proxy: { host, port, type: 5, ...login },
      destination,
      existing_socket: socket,
      timeout: RESPONSE_MS,
    });
  } catch (error) {
    throw explainError(error);
  }
}
