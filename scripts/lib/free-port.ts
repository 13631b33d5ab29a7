/** Finds free ports of loopback for servers that must know their port before they start. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Outside the range that systems choose from, so that no other program gets one of them in the meantime. */
const [FIRST_PORT, LAST_PORT] = [12_000, 31_999] as const;

/** Returns a port of 127.0.0.1 that nothing listens on. On Linux, nobody else finds it while this process runs. */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if ((await claim(port)) && (await isPortFree(port))) return port;
  }
}

/** Returns several such ports. */
export function findFreePorts(count: number): Promise<readonly number[]> {
  return Promise.all(Array.from({ length: count }, findFreePort));
}

/** Whether nothing listens on a port of 127.0.0.1. */
export function isPortFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => {
      server.close(() => resolve(true));
    });
  });
}

/**
 * Takes a port for this process, with a socket in the abstract namespace of Linux: one process has it, and it is gone
 * with the process.
 *
 * @returns whether it was not taken
 */
function claim(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return Promise.resolve(true);
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(`\0client-keystone-auth test port ${port}`, () => resolve(true));
    server.unref();
  });
}
