/** The plugin reads the answer of a server that does not read the whole login, and logs in where connections are closed. */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { checkFailure, checkSuccess, EXIT_STATUS, makeLoginSettings } from '../support/check-run.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { startRawServer } from '../support/raw-server.ts';
import { closeAfterResponse } from '../support/stand-in-faults.ts';

const pki = await makePki(join(t.testdir(), 'pki'));
const tls = { cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) };

const BODY = JSON.stringify({ error: { code: 413, title: 'Content Too Large', message: 'too large '.repeat(400) } });
const HEAD = [
  'HTTP/1.1 413 Content Too Large',
  'Content-Type: application/json',
  `Content-Length: ${BODY.length}`,
  '\r\n',
].join('\r\n');

const ANSWERS: Readonly<Record<string, (socket: Socket, arrived: string) => void>> = {
  'goes on with its answer when it has read the login': (socket, arrived) => {
    const size = Number(/content-length: (\d+)/i.exec(arrived)?.[1]) + arrived.indexOf('\r\n\r\n') + 4;
    let arrivedBytes = arrived.length;
    socket.write(HEAD + BODY.slice(0, 100));
    const goOn = (): void => {
      if (arrivedBytes >= size) socket.write(BODY.slice(100));
    };
    socket.on('data', (chunk) => {
      arrivedBytes += chunk.length;
      goOn();
    });
    goOn();
  },
  'closes the connection': (socket) => {
    socket.pause().write(HEAD + BODY, () => socket.destroy());
  },
};

for (const [what, answer] of Object.entries(ANSWERS)) {
  for (const usesTls of [false, true]) {
    for (const size of [10, 70_000]) {
      const name = `a Keystone ${usesTls ? 'with' : 'without'} TLS answers a login with a password of ${size} characters`;
      await t.test(`${name} early, and ${what}`, async (t) => {
        const { port } = await startRawServer(t, answer, usesTls ? { tls } : {});
        const settings = makeLoginSettings(`${usesTls ? 'https' : 'http'}://127.0.0.1:${port}/v3`);
        const alice = setUp(t, { settings: { ...settings, OS_CACERT: pki.ca, OS_PASSWORD: 'x'.repeat(size) } });
        checkFailure(t, await alice.run(), EXIT_STATUS.protocol, { says: ['413', 'too large'] });
      });
    }
  }
}

await t.test('a Keystone that closes each connection after its answer gets one login', async (t) => {
  const keystone = await startKeystoneForTest(t);
  keystone.answerAlways(closeAfterResponse());
  const alice = setUp(t, { keystone, path: '', settings: makeLoginSettings(keystone.url) });
  checkSuccess(t, await alice.run());
  t.strictSame(alice.listRequests(), ['GET /', 'POST /v3/auth/tokens?nocatalog=true']);
  const listed = await alice.run('projects');
  t.equal(listed.status, 0, listed.stderr);
  t.equal(alice.countLogins(), 1);
});
