/** Certificates that OpenSSL or Node alone would accept, or whose refusal they explain with a code. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
import { listenForTest } from '../support/listen-for-test.ts';

const folder = t.testdir();
const at = (name: string): string => join(folder, name);
const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const NAMES = 'subjectAltName=IP:127.0.0.1,DNS:localhost';

interface Kind {
  readonly authorityKey?: readonly string[];
  readonly authorityExtensions?: readonly string[];
  readonly key?: readonly string[];
  readonly digest?: string;
  readonly subject?: string;
  readonly names?: string;
}

/** Makes an authority and a server certificate. */
function makeChain(name: string, kind: Kind): CertificateFiles & { ca: string } {
  const [ca, caKey, cert, key, request] = ['ca', 'ca.key', 'crt', 'key', 'csr'].map((type) => at(`${name}.${type}`));
  if (ca === undefined || caKey === undefined || cert === undefined) throw new Error('no names');
  if (key === undefined || request === undefined) throw new Error('no names');
  const {
    authorityKey = EC,
    authorityExtensions = [],
    digest = 'sha256',
    names = NAMES,
    subject = '/CN=127.0.0.1',
  } = kind;
  const extensions = ['basicConstraints=critical,CA:TRUE', ...authorityExtensions];
  const make = ['req', '-nodes', '-sha256'];
  openssl(
    ...[...make, '-x509', '-days', '30', ...authorityKey, '-subj', '/CN=authority', '-keyout', caKey, '-out', ca],
    ...extensions.flatMap((extension) => ['-addext', extension]),
  );
  openssl(...make, '-new', ...(kind.key ?? EC), '-subj', subject, '-keyout', key, '-out', request);
  writeFileSync(at('extensions'), `basicConstraints=CA:FALSE\n${names}\n`);
  const signer = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', `-${digest}`, '-extfile', at('extensions')];
  openssl('x509', '-req', '-days', '30', ...signer, '-in', request, '-out', cert);
  return { ca, cert, key };
}

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

const KINDS: Readonly<Record<string, readonly [kind: Kind, says: RegExp]>> = {
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
