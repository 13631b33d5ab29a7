/** Connections of HTTP/1.1 for the load generator. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { Channel, LoadTarget } from './load-generator.ts';

/** What client-go keeps for a host (`MaxIdleConnsPerHost` of k8s.io/apimachinery). */
const POOL_SIZE = 25;

interface Connection extends Channel {
  readonly opened: Promise<unknown>;
}

const writeReview = (body: string): string =>
  'POST /webhook?timeout=30s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
  `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

function openConnection(
  { port, ca, writeRequest = writeReview }: LoadTarget,
  fail: (error: Error) => void,
): Connection {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] });
  let buffered = '';
  let onResponse: (body: string) => void = () => undefined;
  let isClosing = false;
  socket.setEncoding('utf8').once('error', fail);
  socket.once('close', () => {
    if (!isClosing) fail(new Error('the server has closed a connection'));
  });
  socket.on('data', (chunk: string) => {
    buffered += chunk;
    const headerEnd = buffered.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(buffered)?.[1] ?? Number.NaN);
    // Characters are bytes: the responses are ASCII.
    if (headerEnd < 0 || buffered.length < headerEnd + 4 + length) return;
    const body = buffered.slice(headerEnd + 4);
    buffered = '';
    onResponse(body);
  });
  return {
    opened: once(socket, 'secureConnect'),
    send(body, done) {
      onResponse = done;
      socket.write(writeRequest(body));
    },
    close: () => {
      isClosing = true;
      socket.end();
    },
  };
}

/** Opens one connection for each channel. */
export async function openHttp1Channels(
  target: LoadTarget,
  count: number,
  fail: (error: Error) => void,
): Promise<readonly Channel[]> {
  const connections = Array.from({ length: count }, () => openConnection(target, fail));
  await Promise.all(connections.map(({ opened }) => opened));
  return connections;
}

/** Makes channels that share connections: a request without an idle one opens another, and 25 stay open when idle. */
export async function openPooledChannels(
  target: LoadTarget,
  count: number,
  fail: (error: Error) => void,
): Promise<readonly Channel[]> {
  const idle: Channel[] = [];
  const exchange = (connection: Channel, body: string, onResponse: (body: string) => void): void => {
    connection.send(body, (response) => {
      if (idle.length < POOL_SIZE) idle.push(connection);
      else connection.close();
      onResponse(response);
    });
  };
  return Promise.resolve(
    Array.from({ length: count }, () => ({
      send(body, onResponse) {
        const connection = idle.pop();
        if (connection !== undefined) {
          exchange(connection, body, onResponse);
          return;
        }
        const opened = openConnection(target, fail);
        opened.opened.then(() => {
          exchange(opened, body, onResponse);
        }, fail);
      },
      close() {
        for (const connection of idle.splice(0)) connection.close();
      },
    })),
  );
}
