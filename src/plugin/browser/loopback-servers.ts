/** HTTP servers on every loopback address that a browser may try for one host name. */
import type { Server } from 'node:http';
import { ConfigError, getErrorCode } from '../../shared/base/errors.ts';
import { getPort, getSocketHost } from '../../shared/http/socket-address.ts';

/** A free port of 127.0.0.1 may be in use on ::1. */
const MAX_PORT_ATTEMPTS = 8;

/** Codes that mean that this machine does not have the address. */
const MISSING_ADDRESS_CODES = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'];

/** Servers that listen on the same port. */
export interface LoopbackServers {
  readonly port: number;
  readonly servers: readonly Server[];
}

/** A browser may resolve localhost to either address, so the plugin must own both. */
function listAddresses(url: URL): readonly string[] {
  return url.hostname === 'localhost' ? ['127.0.0.1', '::1'] : [getSocketHost(url)];
}

async function listenOnAddress(server: Server, port: number, address: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: address, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}

/** Listens on all addresses with one port; undefined when a free port is in use on another address. */
async function listenOnAll(
  createServer: () => Server,
  addresses: readonly string[],
  requestedPort: number,
): Promise<LoopbackServers | undefined> {
  const servers: Server[] = [];
  let port = requestedPort;
  try {
    for (const address of addresses) {
      const server = createServer();
      try {
        port = await listenOnAddress(server, port, address);
        servers.push(server);
      } catch (error) {
        const isOnlyChance = address === addresses.at(-1) && servers.length === 0;
        if (!MISSING_ADDRESS_CODES.includes(getErrorCode(error)) || isOnlyChance) throw error;
      }
    }
    return { port, servers };
  } catch (error) {
    for (const server of servers) server.close();
    if (requestedPort === 0 && getErrorCode(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
}

/**
 * Opens servers on the host and port of a URL; port 0 means any free port.
 *
 * @param portHint how to choose another port, as text for hints
 * @throws ConfigError when the port is not available
 */
export async function openLoopbackServers(
  createServer: () => Server,
  url: URL,
  portHint: string,
): Promise<LoopbackServers> {
  const requestedPort = getPort(url);
  try {
    for (let attempt = 0; attempt < MAX_PORT_ATTEMPTS; attempt += 1) {
      const opened = await listenOnAll(createServer, listAddresses(url), requestedPort);
      if (opened !== undefined) return opened;
    }
    throw new ConfigError(`no port of ${url.hostname} is free for the browser to return to`, { hint: portHint });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const reason = getErrorCode(error) === 'EADDRINUSE' ? 'another program uses it' : getErrorCode(error);
    throw new ConfigError(`cannot listen on port ${requestedPort}, which the browser must return to: ${reason}`, {
      hint: portHint,
      cause: error,
    });
  }
}
