/** The keys that sign tokens. A private key never leaves this file except as text for the key store. */
import { createPrivateKey, createPublicKey, generateKeyPair, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { JsonObject } from '../../shared/base/json.ts';
import { computeKeyId } from '../../shared/oidc/jwt.ts';
import type { SigningAlgorithm } from './signing-algorithms.ts';

/** When a key was made and from when on it signs, ms since 1970, UTC. */
export interface KeyTimes {
  readonly createdAt: number;
  readonly signsFrom: number;
}

/** A key pair. */
export interface SigningKey extends KeyTimes {
  /** Its thumbprint (RFC 7638), so that a key ID can never stand for two keys. */
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly privateKey: KeyObject;
  /** What is published. */
  readonly publicJwk: JsonObject;
}

const RSA_BITS = 2048;

const generate = promisify(generateKeyPair);

const GENERATORS: Readonly<Record<SigningAlgorithm, () => Promise<{ readonly privateKey: KeyObject }>>> = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  RS256: () => generate('rsa', { modulusLength: RSA_BITS }),
};

/** The algorithm that a key is for; undefined if it is for none of ours. */
function findAlgorithm({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): SigningAlgorithm | undefined {
  if (asymmetricKeyType === 'ec') return asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  return asymmetricKeyType === 'rsa' && bits >= RSA_BITS ? 'RS256' : undefined;
}

async function describeKey(privateKey: KeyObject, times: KeyTimes): Promise<SigningKey | undefined> {
  const algorithm = findAlgorithm(privateKey);
  if (algorithm === undefined) return undefined;
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  const kid = await computeKeyId({ ...jwk });
  return { ...times, kid, algorithm, privateKey, publicJwk: { ...jwk, kid, use: 'sig', alg: algorithm } };
}

/** Makes a new key. */
export async function makeSigningKey(algorithm: SigningAlgorithm, times: KeyTimes): Promise<SigningKey> {
  const { privateKey } = await GENERATORS[algorithm]();
  const key = await describeKey(privateKey, times);
  if (key === undefined) throw new Error(`the new key is not for ${algorithm}`);
  return key;
}

const PROBE = Buffer.from('probe');

/** Whether the two halves belong together. The library does not check that, and nobody could verify a token. */
function matchesItsPublicKey(privateKey: KeyObject): boolean {
  return verify('sha256', PROBE, createPublicKey(privateKey), sign('sha256', PROBE, privateKey));
}

/**
 * Reads a private key that a key store contains.
 *
 * @returns undefined if it is not a private key for one of our algorithms
 */
export async function readSigningKey(privateJwk: JsonObject, times: KeyTimes): Promise<SigningKey | undefined> {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ key: { ...privateJwk }, format: 'jwk' });
    if (!matchesItsPublicKey(privateKey)) return undefined;
  } catch {
    // The message of the library may quote the key.
    return undefined;
  }
  return describeKey(privateKey, times);
}

/** The private key for the key store. */
export const exportPrivateJwk = ({ privateKey }: SigningKey): JsonObject => ({
  ...privateKey.export({ format: 'jwk' }),
});
