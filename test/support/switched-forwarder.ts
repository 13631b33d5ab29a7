/** Passes TCP connections on to a server, as long as the test wants it to: a server that other tests use cannot stop. */
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { listenForTest } from './listen-for-test.ts';
import type { Owner } from './webhook-client.ts';

export interface SwitchedForwarder {
  readonly port: number;
  /** Whether the server behind it can be reached. Turning it off resets all connections. */
  switch(isOn: boolean): void;
}

/** Starts a forwarder on 127.0.0.1 to a port there. It is stopped after the test. */
export async function startSwitchedForwarder(t: Owner, target: number): Promise<SwitchedForwarder> {
  const sockets = new Set<Socket>();
  let isOn = true;
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  };
  const resetAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const server = createServer((client) => {
    track(client);
    if (!isOn) {
      client.resetAndDestroy();
      return;
    }
    const upstream = track(connect(target, '127.0.0.1'));
    client.pipe(upstream).pipe(client);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
  });
  const port = await listenForTest(t, server);
  t.teardown(resetAll);
  return {
    port,
    switch(value) {
      isOn = value;
      if (!isOn) resetAll();
    },
  };
}
