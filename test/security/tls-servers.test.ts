/**
 * Real TLS servers of many kinds: which of them the plugin accepts, and how it explains why it refuses the others. Its TLS
 * library is OpenSSL on Node and BoringSSL on Bun, which refuses more.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import type { Test } from 'tap';
import { makeCertificateChain, onCurve } from '../support/certificate-chain.ts';
import type { CertificateChain, CertificateKind } from '../support/certificate-chain.ts';
import { checkFailure, EXIT_STATUS, makeLoginSettings } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { runBundles } from '../support/run-bundles.ts';
import { PACKAGED_EXECUTABLE, RUNTIME, runPlugin } from '../support/run-plugin.ts';
import { waitUntil } from '../support/wait-until.ts';

const RSA = { key: ['-newkey', 'rsa:2048'] } as const;
const RSA_PSS = ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'] as const;
const OLD = ['-cipher', 'DEFAULT@SECLEVEL=0'] as const;
const WITH_CLIENT_CERTIFICATE = ['-Verify', '1', '-verify_return_error'] as const;

const withKeyUsage = (usage: string): CertificateKind => ({ extensions: [`keyUsage=critical,${usage}`] });
const onTls12 = (...options: readonly string[]): readonly string[] => ['-tls1_2', ...options];
const withCipher = (name: string): readonly string[] => onTls12('-cipher', name);

interface Server {
  readonly kind?: CertificateKind;
  /** Options of `openssl s_server`. */
  readonly options?: readonly string[];
  /** What the plugin trusts or shows instead of what fits. */
  readonly settings?: 'another authority' | 'a certificate of another authority';
}

/** A server, and what the message says where it is refused. */
type Row = readonly [server: Server, says: RegExp];

const ACCEPTED: Readonly<Record<string, Server>> = {
  'TLS 1.2 and an RSA key': { kind: RSA, options: onTls12() },
  'TLS 1.3 and an RSA key': { kind: RSA },
  'TLS 1.3 and a P-521 key': { kind: { key: onCurve('P-521') } },
  'an Ed25519 key': { kind: { key: ['-newkey', 'ed25519'] } },
  'a key exchange with P-384': { options: ['-groups', 'P-384'] },
  'a key exchange with RSA': { kind: RSA, options: withCipher('AES128-GCM-SHA256') },
  'a key exchange with RSA, and the key usage for it': {
    kind: { ...RSA, ...withKeyUsage('keyEncipherment') },
    options: withCipher('AES128-GCM-SHA256'),
  },
};

const ABORTED = /it aborted the TLS handshake[^]*ECDHE with X25519 or P-256/;
const KEY_USAGE = /the key usage of its certificate forbids[^]*digitalSignature/;
const UNKNOWN_AUTHORITY = /one of its authorities has a key of a kind that this program does not know/;

/** OpenSSL accepts them. The documents list them. */
const REFUSED_ON_BUN: Readonly<Record<string, Row>> = {
  'a key exchange with DHE': [{ kind: RSA, options: withCipher('DHE-RSA-AES128-GCM-SHA256') }, ABORTED],
  'a key exchange with DHE in TLS 1.3': [{ options: ['-groups', 'ffdhe2048'] }, ABORTED],
  'a key exchange with X448': [{ options: ['-groups', 'X448'] }, ABORTED],
  'a key exchange with X448 in TLS 1.2': [{ options: onTls12('-groups', 'X448') }, ABORTED],
  'a key exchange with P-521': [{ options: ['-groups', 'P-521'] }, ABORTED],
  'a key exchange with P-521 in TLS 1.2': [{ options: onTls12('-groups', 'P-521') }, ABORTED],
  'TLS 1.2 and a P-521 key': [{ kind: { key: onCurve('P-521') }, options: onTls12() }, ABORTED],
  'an Ed448 key': [{ kind: { key: ['-newkey', 'ed448'] } }, ABORTED],
  'a key for RSA-PSS only': [{ kind: { key: RSA_PSS } }, ABORTED],
  'AES-CCM': [{ options: withCipher('ECDHE-ECDSA-AES128-CCM') }, ABORTED],
  ARIA: [{ kind: RSA, options: withCipher('ECDHE-ARIA128-GCM-SHA256') }, ABORTED],
  'AES-CBC with SHA-384': [{ kind: RSA, options: withCipher('ECDHE-RSA-AES256-SHA384') }, ABORTED],
  'an RSA key whose usage lacks digitalSignature': [
    { kind: { ...RSA, ...withKeyUsage('keyEncipherment') } },
    KEY_USAGE,
  ],
  'a P-256 key whose usage lacks digitalSignature': [{ kind: withKeyUsage('keyAgreement') }, KEY_USAGE],
  'a key exchange with RSA, and a key usage for another': [
    { kind: { ...RSA, ...withKeyUsage('digitalSignature') }, options: withCipher('AES128-GCM-SHA256') },
    KEY_USAGE,
  ],
  'an authority with a Brainpool key': [{ kind: { authorityKey: onCurve('brainpoolP256r1') } }, UNKNOWN_AUTHORITY],
  'an authority with a key for RSA-PSS only': [{ kind: { authorityKey: RSA_PSS } }, UNKNOWN_AUTHORITY],
};

const REFUSED: Readonly<Record<string, Row>> = {
  'no client certificate': [{ options: WITH_CLIENT_CERTIFICATE }, /it requires a client certificate[^]*OS_CERT/],
  'no client certificate in TLS 1.2': [
    { options: onTls12(...WITH_CLIENT_CERTIFICATE) },
    /it aborted the TLS handshake[^]*if it requires a client certificate, set OS_CERT/,
  ],
  'a client certificate of another authority': [
    { options: WITH_CLIENT_CERTIFICATE, settings: 'a certificate of another authority' },
    /it does not accept our client certificate/,
  ],
  'a client certificate of another authority in TLS 1.2': [
    { options: onTls12(...WITH_CLIENT_CERTIFICATE), settings: 'a certificate of another authority' },
    /it does not accept our client certificate/,
  ],
  'an authority that is not trusted': [
    { settings: 'another authority' },
    /its certificate is not trusted[^]*OS_CACERT/,
  ],
  'a certificate that has expired': [{ kind: { days: -1 } }, /its certificate has expired/],
  'a certificate for another host': [
    { kind: { names: 'subjectAltName=DNS:other.example' } },
    /its certificate is for another host name/,
  ],
  'a certificate for clients only': [{ kind: { extensions: ['extendedKeyUsage=clientAuth'] } }, /is not trusted/],
  'TLS 1.0': [{ kind: RSA, options: ['-tls1', ...OLD] }, /it does not support TLS 1\.2/],
  'TLS 1.1': [{ kind: RSA, options: ['-tls1_1', ...OLD] }, /it does not support TLS 1\.2/],
  'a handshake signed with RSA and SHA-1': [{ kind: RSA, options: onTls12('-sigalgs', 'RSA+SHA1', ...OLD) }, ABORTED],
  'a handshake signed with P-256 and SHA-1': [{ options: onTls12('-sigalgs', 'ECDSA+SHA1', ...OLD) }, ABORTED],
  'no encryption': [{ kind: RSA, options: withCipher('ECDHE-RSA-NULL-SHA@SECLEVEL=0') }, ABORTED],
  'a P-224 key': [{ kind: { key: onCurve('P-224') } }, ABORTED],
  'a Brainpool key': [{ kind: { key: onCurve('brainpoolP256r1') } }, ABORTED],
};

const folder = t.testdir({});
const chains = new Map<string, CertificateChain>();

/** Makes a certificate, or returns the one of an earlier server of this kind. */
function findChain(kind: CertificateKind): CertificateChain {
  const name = JSON.stringify(kind);
  const chain = chains.get(name) ?? makeCertificateChain(folder, `kind-${chains.size}`, kind);
  chains.set(name, chain);
  return chain;
}

const other = makeCertificateChain(folder, 'other', {});

/** Starts a server that answers each line with the same line backward, which is no HTTP. */
async function startServer(t: Test, { cert, key }: CertificateChain, options: readonly string[]): Promise<string> {
  const args = ['s_server', '-rev', '-accept', '127.0.0.1:0', '-cert', cert, '-key', key, ...options];
  const child = spawn('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill();
    await ended;
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const port = await waitUntil('a TLS server', () => {
    if (child.exitCode !== null) throw new Error(output);
    return /ACCEPT 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
  });
  return `https://localhost:${port}`;
}

interface Expected {
  readonly status: number;
  readonly says: RegExp;
}

async function checkServer(
  t: Test,
  { kind = {}, options = [], settings }: Server,
  { status, says }: Expected,
): Promise<void> {
  const chain = findChain(kind);
  const url = await startServer(t, chain, options);
  const ownCertificate = settings === 'a certificate of another authority';
  const user = setUp(t, {
    settings: {
      ...makeLoginSettings(`${url}/v3`),
      OS_CACERT: settings === 'another authority' ? other.ca : chain.ca,
      ...(ownCertificate ? { OS_CERT: other.cert, OS_KEY: other.key } : {}),
    },
    // The process itself is not the subject.
    runner: PACKAGED_EXECUTABLE === undefined ? runBundles : runPlugin,
  });
  checkFailure(t, await user.run(), status, { says: [says] });
  t.match((await user.run('doctor', '--no-cluster')).stdout, says, 'doctor says the same');
}

/** The answer is no HTTP, so the handshake has succeeded. */
const HTTP_EXPECTED: Expected = { status: EXIT_STATUS.protocol, says: /its response is not valid HTTP/ };
const asRefused = (says: RegExp): Expected => ({ status: EXIT_STATUS.unreachable, says });

for (const [name, server] of Object.entries(ACCEPTED))
  await t.test(`accepted: ${name}`, (t) => checkServer(t, server, HTTP_EXPECTED));
for (const [name, [server, says]] of Object.entries(REFUSED_ON_BUN)) {
  const isRefused = RUNTIME === 'bun';
  await t.test(`${isRefused ? 'refused' : 'accepted'}: ${name}`, (t) =>
    checkServer(t, server, isRefused ? asRefused(says) : HTTP_EXPECTED),
  );
}
for (const [name, [server, says]] of Object.entries(REFUSED))
  await t.test(`refused: ${name}`, (t) => checkServer(t, server, asRefused(says)));
