/** Passes TCP connections on to other ports of 127.0.0.1. */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

export interface Forwarder {
  /** It does not listen yet. */
  readonly server: Server;
  /** The open ones, of both sides. */
  readonly sockets: ReadonlySet<Socket>;
}

/**
 * Makes a forwarder.
 *
 * @param choosePort chooses the port for a connection; undefined if there is none
 * @param refuse ends a connection for which there is no port
 */
export function makeForwarder(choosePort: () => number | undefined, refuse: (client: Socket) => void): Forwarder {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    track(client);
    const port = choosePort();
    if (port === undefined) {
      refuse(client);
      return;
    }
    const upstream = track(connect(port, '127.0.0.1'));
    client.pipe(upstream).pipe(client);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
  });
  return { server, sockets };
}
