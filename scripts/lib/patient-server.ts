import type { Server } from 'node:http';

/**
 * Makes a server wait for its clients without a limit. By default, Node closes a connection that was idle for five
 * seconds, which is nothing for a client on a busy machine: its next request would fail.
 */
export function waitForClients<S extends Pick<Server, 'headersTimeout' | 'keepAliveTimeout' | 'requestTimeout'>>(
  server: S,
): S {
  return Object.assign(server, { headersTimeout: 0, keepAliveTimeout: 0, requestTimeout: 0 });
}
