import type { Server } from 'node:net';
import { listenOnLoopback } from '../../scripts/lib/listen-on-loopback.ts';
import type { Owner } from './webhook-client.ts';

/** Starts a server on a free port of 127.0.0.1 until the test is over, and returns the port. */
export async function listenForTest(t: Owner, server: Server & { closeAllConnections?(): void }): Promise<number> {
  const port = await listenOnLoopback(server);
  t.teardown(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return port;
}
