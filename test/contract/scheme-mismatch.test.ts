// A URL with http:// for a port with TLS, and the reverse: the error says so, whatever the server does with such bytes.

import { createServer as createHttpsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:tls';
import { createServer } from 'node:net';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { makeTestHome } from '../support/home.ts';
import { startRawServer } from '../support/raw-server.ts';
import { runBundles } from '../support/run-bundles.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/stand-in-login.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const pki = await makePki(t.testdir());
const certificate = { cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) };

const ANSWER = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 4\r\n\r\nTLS!';

/** The first byte of a TLS handshake (RFC 8446, section 5.1). */
const HANDSHAKE = 22;

/** A server that answers other bytes than TLS with status 400, as nginx, Apache and Go do. */
function startTellingServer(t: Test): Promise<number> {
  const secure = createTlsServer(certificate);
  const server = createServer((socket) => {
    socket.once('data', (bytes: Buffer) => {
      if (bytes[0] !== HANDSHAKE) socket.end(ANSWER);
      else {
        socket.pause();
        socket.unshift(bytes);
        secure.emit('connection', socket);
      }
    });
    socket.on('error', () => undefined);
  });
  return listenForTest(t, server);
}

const TLS_PORTS: Readonly<Record<string, (t: Test) => Promise<number>>> = {
  'a server of Node, which closes the connection': (t) => listenForTest(t, createHttpsServer(certificate)),
  'a server that answers with status 400': startTellingServer,
  'a server that sends a TLS alert': (t) => listenForTest(t, createTlsServer(certificate)),
};

async function logIn(t: Test, url: string): Promise<Awaited<ReturnType<typeof runBundles>>> {
  const env = { ...makeLoginSettings(`${url}/v3`), OS_CACERT: pki.ca };
  return runBundles({ home: makeTestHome(t), env });
}

for (const [name, start] of Object.entries(TLS_PORTS)) {
  void t.test(`http:// at ${name}`, async (t) => {
    const url = `http://127.0.0.1:${await start(t)}`;
    const result = await logIn(t, url);
    checkFailure(t, result, EXIT_STATUS.protocol, {
      says: [url, 'it uses TLS on this port, but the URL begins with http://', 'write https:// in OS_AUTH_URL'],
    });
    t.notMatch(result.stderr, PASSWORD);
  });
}

void t.test('https:// at a server without TLS', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const raw = await startRawServer(t, (socket) => socket.destroy(), { headEnd: '' });
  const says = ['does not use TLS on this port', 'OS_AUTH_URL', 'http://'];
  checkFailure(t, await logIn(t, keystone.url.replace('http:', 'https:')), EXIT_STATUS.protocol, { says });
  const closing = await logIn(t, `https://127.0.0.1:${raw.port}`);
  checkFailure(t, closing, EXIT_STATUS.unreachable, { says: ['it closed the connection'] });
});

void t.test('a Keystone that answers with status 400 over plain HTTP is asked for nothing else', async (t) => {
  const keystone = await startKeystoneForTest(t);
  keystone.answerAlways((_request, response) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end('{"error": {"code": 400, "message": "no such thing"}}');
  });
  const result = await logIn(t, keystone.url);
  t.notMatch(result.stderr, 'TLS');
  t.match(result.stderr, 'no such thing');
});
