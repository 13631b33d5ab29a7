/**
 * The strength that TLS must have: OpenSSL's security level 2 (openssl SSL_CTX_set_security_level). Keys of RSA have at
 * least 2048 bits, those of elliptic curves 224, and SHA-1 signs nothing. BoringSSL, which Bun uses, has no levels, so
 * certificates are checked here in addition, and the signatures of the handshake are listed.
 */
import { X509Certificate } from 'node:crypto';
import { DEFAULT_CIPHERS } from 'node:tls';
import type { DetailedPeerCertificate, PeerCertificate, SecureContextOptions } from 'node:tls';
import { usesBoringSsl } from '../base/host.ts';

// BoringSSL refuses this, so a wrong answer of usesBoringSsl leads to no connection without levels.
const WITH_LEVEL = `${DEFAULT_CIPHERS}:@SECLEVEL=2`;

const MIN_RSA_BITS = 2048;
const MIN_CURVE_BITS = 224;

/** The names of signatures that are strong enough. BoringSSL accepts RSASSA-PSS with SHA-2 only. */
const STRONG_SIGNATURE = /sha-?(?:224|256|384|512)|^rsassaPss$|^ed(?:25519|448)$/i;

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Best first. BoringSSL's own list ends with SHA-1. */
const HANDSHAKE_SIGNATURES = [
  'ecdsa_secp256r1_sha256',
  'ed25519',
  'rsa_pss_rsae_sha256',
  'rsa_pkcs1_sha256',
  'ecdsa_secp384r1_sha384',
  'rsa_pss_rsae_sha384',
  'rsa_pkcs1_sha384',
  'ecdsa_secp521r1_sha512',
  'rsa_pss_rsae_sha512',
  'rsa_pkcs1_sha512',
].join(':');

/** Returns the options of a checked connection that decide how strong certificates and signatures must be. */
export const getStrength = (): Pick<SecureContextOptions, 'ciphers' | 'sigalgs'> =>
  usesBoringSsl() ? { ciphers: DEFAULT_CIPHERS, sigalgs: HANDSHAKE_SIGNATURES } : { ciphers: WITH_LEVEL };

/** Why a certificate is too weak, by the code that an error about it has. */
export type Weakness = 'CERT_CHAIN_WEAK_KEY' | 'CERT_CHAIN_WEAK_DIGEST';

/** The types of Node 22 lack what newer versions and Bun have. */
type Certificate = X509Certificate & { readonly signatureAlgorithm?: string };

/** A self-signed certificate is trusted itself, or not at all: its signature does not count. */
const isSelfSigned = ({ issuer, subject }: X509Certificate): boolean => issuer === subject;

function findWeakness(certificate: Certificate): Weakness | undefined {
  const { modulusLength = MIN_RSA_BITS, namedCurve = '' } = certificate.publicKey.asymmetricKeyDetails ?? {};
  const curveBits = Number(/\d{3}/.exec(namedCurve)?.[0] ?? MIN_CURVE_BITS);
  if (modulusLength < MIN_RSA_BITS || curveBits < MIN_CURVE_BITS) return 'CERT_CHAIN_WEAK_KEY';
  const isStrong = isSelfSigned(certificate) || STRONG_SIGNATURE.test(certificate.signatureAlgorithm ?? '');
  return isStrong ? undefined : 'CERT_CHAIN_WEAK_DIGEST';
}

function findFirstWeakness(certificates: readonly (Buffer | string)[]): Weakness | undefined {
  for (const bytes of certificates) {
    const weakness = findWeakness(new X509Certificate(bytes));
    if (weakness !== undefined) return weakness;
  }
  return undefined;
}

/** Lists a certificate and its issuers, as far as they are known. */
function listChain(certificate: Partial<DetailedPeerCertificate>): Buffer[] {
  const chain = new Map<string, Buffer>();
  let current: Partial<DetailedPeerCertificate> | undefined = certificate;
  while (current?.raw !== undefined && !chain.has(current.raw.toString('latin1'))) {
    chain.set(current.raw.toString('latin1'), current.raw);
    current = current.issuerCertificate;
  }
  return [...chain.values()];
}

/** Returns why a certificate or one of its issuers is too weak, if the TLS library does not find that itself. */
export function findChainWeakness(certificate: PeerCertificate): Weakness | undefined {
  return usesBoringSsl() ? findFirstWeakness(listChain(certificate)) : undefined;
}

/** Returns why a client certificate or one of its issuers is too weak, if the TLS library does not find that itself. */
export function findOwnWeakness(pem: string): Weakness | undefined {
  return usesBoringSsl() ? findFirstWeakness(pem.match(CERTIFICATES) ?? []) : undefined;
}
