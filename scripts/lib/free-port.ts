/** Finds a free port of loopback. */
import { createServer } from 'node:net';
import { listenOnLoopback } from './listen-on-loopback.ts';

/** Returns a port of 127.0.0.1 that nothing listens on. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
