/** Hash functions that are built into the runtime and need no module, which would take time to load. */

interface Sha256Hasher {
  update(text: string): Sha256Hasher;
  digest(encoding: 'hex'): string;
}

/** The part of Bun that is used here. */
interface BunHashes {
  readonly CryptoHasher: new (algorithm: 'sha256') => Sha256Hasher;
  readonly hash: { murmur32v3(text: string): number };
}

/** Functions of the UTF-8 bytes of a text. */
interface NativeHashes {
  /** SHA-256 in hex. */
  sha256(text: string): string;
  /** MurmurHash3 with 32 bits, as a number that is not negative. */
  murmur3(text: string): number;
}

const { Bun } = globalThis as { readonly Bun?: BunHashes };

/** Undefined on Node. */
export const nativeHashes: NativeHashes | undefined =
  Bun === undefined
    ? undefined
    : {
        sha256: (text) => new Bun.CryptoHasher('sha256').update(text).digest('hex'),
        murmur3: (text) => Bun.hash.murmur32v3(text),
      };
