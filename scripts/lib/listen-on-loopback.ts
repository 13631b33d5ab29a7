import type { Server } from 'node:net';

/**
 * Starts a server on 127.0.0.1, and returns the port.
 *
 * @param port by default a free one, which other programs can get once the server is closed
 */
export async function listenOnLoopback(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
