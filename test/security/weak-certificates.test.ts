/** Certificates that OpenSSL or Node alone would accept, or whose refusal they explain with a code. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import t from 'tap';
import type { Test } from 'tap';
import {
  checkFailure,
  EXIT_STATUS,
  makeLoginSettings,
  runInFreshHome,
  startKeystoneForTest,
} from '../support/check-run.ts';
import type { CertificateFiles } from '../../scripts/lib/pki.ts';
import { makeCertificateChain } from '../support/certificate-chain.ts';
import type { CertificateChain, CertificateKind } from '../support/certificate-chain.ts';
import { listenForTest } from '../support/listen-for-test.ts';

const folder = t.testdir();
const makeChain = (name: string, kind: CertificateKind): CertificateChain => makeCertificateChain(folder, name, kind);

interface WeakServer {
  readonly port: number;
  /** The number of bytes of HTTP that arrived. */
  readonly countBytes: () => number;
}

/** Starts a server that itself accepts any certificate. */
async function startWeakServer(t: Test, { cert, key }: CertificateFiles): Promise<WeakServer> {
  let bytes = 0;
  const options = { cert: readFileSync(cert), key: readFileSync(key), ciphers: 'DEFAULT@SECLEVEL=0' };
  const server = createServer(options, (socket) => {
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => (bytes += chunk.length));
  });
  server.on('tlsClientError', () => undefined);
  const port = await listenForTest(t, server);
  return { port, countBytes: () => bytes };
}

const KINDS: Readonly<Record<string, readonly [kind: CertificateKind, says: RegExp]>> = {
  'RSA of 1024 bits': [{ key: ['-newkey', 'rsa:1024'] }, /has a key that is too weak/],
  'an authority with RSA of 1024 bits': [{ authorityKey: ['-newkey', 'rsa:1024'] }, /has a key that is too weak/],
  'SHA-1': [{ digest: 'sha1' }, /is signed with SHA-1 or another weak digest/],
  'a common name only': [{ names: '', subject: '/CN=localhost' }, /names no host.*common name/],
  'an e-mail address as its only name': [
    { names: 'subjectAltName=email:a@example.com', subject: '/CN=localhost' },
    /names no host.*common name/,
  ],
  'a name that its authority must not certify': [
    { authorityExtensions: ['nameConstraints=critical,permitted;DNS:example.com'] },
    /must not issue certificates for this host name/,
  ],
  'a name that its authority is forbidden': [
    { authorityExtensions: ['nameConstraints=critical,excluded;DNS:localhost'] },
    /must not issue certificates for this host name/,
  ],
};

for (const [name, [kind, says]] of Object.entries(KINDS)) {
  await t.test(name, async (t) => {
    const { ca, ...tls } = makeChain(name.replaceAll(/\W+/g, '-'), kind);
    const server = await startWeakServer(t, tls);
    const env = { ...makeLoginSettings(`https://localhost:${server.port}/v3`), OS_CACERT: ca };
    checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.unreachable, { says: [says] });
    const { stdout } = await runInFreshHome({ env, args: ['doctor', '--no-cluster'] });
    t.match(stdout, says, 'doctor says the same');
    t.equal(server.countBytes(), 0, 'nothing is sent');
  });
}

await t.test('a client certificate with RSA of 1024 bits is refused', async (t) => {
  const { cert, key } = makeChain('client', { key: ['-newkey', 'rsa:1024'] });
  const keystone = await startKeystoneForTest(t);
  // Over plain http, the certificate would not be needed. It is checked before anything is sent.
  const url = `${keystone.url.replace('http:', 'https:')}/v3`;
  const env = { ...makeLoginSettings(url), OS_CERT: cert, OS_KEY: key };
  checkFailure(t, await runInFreshHome({ env }), EXIT_STATUS.config, { says: ['OS_CERT', 'too weak', '2048 bits'] });
});
