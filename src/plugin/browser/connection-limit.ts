import type { Server, Socket } from 'node:net';

/**
 * Limits the connections of a server. A new connection above the limit closes the oldest one, so that another user of
 * this machine cannot keep the browser out by holding connections. The browser sends its request as soon as it connects,
 * and the answer takes a moment.
 */
export function limitConnections(server: Server, most: number): void {
  // A set keeps the order in which the connections came.
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    if (connections.size <= most) return;
    for (const oldest of connections) {
      connections.delete(oldest);
      oldest.destroy();
      return;
    }
  });
}
