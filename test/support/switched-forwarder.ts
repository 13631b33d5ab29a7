/** Passes TCP connections on to a server, as long as the test wants it to: a server that other tests use cannot stop. */
import { makeForwarder } from './forwarder.ts';
import { listenForTest } from './listen-for-test.ts';
import type { Owner } from './webhook-client.ts';

export interface SwitchedForwarder {
  readonly port: number;
  /** Whether the server behind it can be reached. Turning it off resets all connections. */
  switch(isOn: boolean): void;
}

/** Starts a forwarder on 127.0.0.1 to a port there. It is stopped after the test. */
export async function startSwitchedForwarder(t: Owner, target: number): Promise<SwitchedForwarder> {
  let isOn = true;
  const { server, sockets } = makeForwarder(
    () => (isOn ? target : undefined),
    (client) => client.resetAndDestroy(),
  );
  const resetAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
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
