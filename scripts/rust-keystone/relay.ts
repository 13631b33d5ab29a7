// Carries connections into and out of a network namespace, through Unix sockets, which all namespaces share.

import { connect, createServer } from 'node:net';
import type { ListenOptions, NetConnectOpts, Server } from 'node:net';

/** Makes a server that carries each connection to another place. */
export function makeRelay(target: NetConnectOpts): Server {
  return createServer((client) => {
    const onward = connect(target);
    // A side that fails ends the other one.
    client.once('error', () => onward.destroy()).once('close', () => onward.destroy());
    onward.once('error', () => client.destroy()).once('close', () => client.destroy());
    client.pipe(onward).pipe(client);
  });
}

/** Starts a server at a place that is known: a socket, or a port in a namespace that has nothing else. */
export async function listenAt(
  place: ListenOptions,
  server: { listen: Server['listen']; once: Server['once'] },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, resolve);
  });
}
