/**
 * SHA-256 (FIPS 180-4) in plain code. Loading `node:crypto` takes about a seventh of the time of a cache hit; hashing a
 * kilobyte here takes a fiftieth. The digests name and check files, so no secret depends on constant time. A unit test
 * compares the results with `node:crypto`. Bun hashes by itself.
 *
 * A run hashes so little that V8 only interprets this code. So the number of operations matters: the functions of the
 * standard are written inline, in their shorter forms, and the constants are not computed.
 */
import { nativeHashes } from './native-hashes.ts';

const BLOCK_BYTES = 64;
const BLOCK_WORDS = 16;
const LENGTH_BYTES = 8;

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, section 4.2.2). */
const makeRoundConstants = (): Int32Array =>
  new Int32Array([
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
  ]);

/** Pads the message (section 5.1.1). */
function pad(message: Uint8Array): DataView {
  const { length } = message;
  const padded = new Uint8Array(Math.ceil((length + 1 + LENGTH_BYTES) / BLOCK_BYTES) * BLOCK_BYTES);
  padded.set(message);
  padded[length] = 0x80;
  const view = new DataView(padded.buffer);
  // The length in bits fits into 32 bits, because a message has less than 512 MiB.
  view.setUint32(padded.length - 4, length * 8);
  return view;
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

/** Computes SHA-256 of the text's UTF-8 bytes (less than 2^29), in hex. */
export function sha256(text: string): string {
  return nativeHashes?.sha256(text) ?? computeSha256(text);
}

function computeSha256(text: string): string {
  const view = pad(Buffer.from(text));
  const constants = makeRoundConstants();
  const words = new Int32Array(64);
  // Section 5.3.3.
  let h0 = 0x6a09e667;
  let h1 = 0xbb67ae85 | 0;
  let h2 = 0x3c6ef372;
  let h3 = 0xa54ff53a | 0;
  let h4 = 0x510e527f;
  let h5 = 0x9b05688c | 0;
  let h6 = 0x1f83d9ab;
  let h7 = 0x5be0cd19;
  for (let offset = 0; offset < view.byteLength; offset += BLOCK_BYTES) {
    // Section 6.2.2, steps 1 to 4, with the names of the standard.
    let [a, b, c, d, e, f, g, h] = [h0, h1, h2, h3, h4, h5, h6, h7];
    for (let t = 0; t < 64; t += 1) {
      let word: number;
      if (t < BLOCK_WORDS) {
        word = view.getInt32(offset + t * 4);
      } else {
        const x = words[t - 15] ?? 0;
        const y = words[t - 2] ?? 0;
        word =
          (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) +
          (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)) +
          (words[t - 16] ?? 0) +
          (words[t - 7] ?? 0);
      }
      words[t] = word;
      const t1 =
        h +
        (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) +
        (g ^ (e & (f ^ g))) +
        (constants[t] ?? 0) +
        word;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a =
        (t1 +
          (((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) +
          ((b & c) | (d & (b | c)))) |
        0;
    }
    h0 = (h0 + a) | 0;
    h1 = (h1 + b) | 0;
    h2 = (h2 + c) | 0;
    h3 = (h3 + d) | 0;
    h4 = (h4 + e) | 0;
    h5 = (h5 + f) | 0;
    h6 = (h6 + g) | 0;
    h7 = (h7 + h) | 0;
  }
  return hex(h0) + hex(h1) + hex(h2) + hex(h3) + hex(h4) + hex(h5) + hex(h6) + hex(h7);
}

/** One input of a digest; undefined is not the same as the empty string. */
export type DigestField = string | undefined;

/**
 * Computes SHA-256 over length-prefixed fields, in hex, so that two different lists never have the same input.
 *
 * @param purpose says what is hashed, with a version
 */
export function digestFields(purpose: string, fields: readonly DigestField[]): string {
  const prefixed: string[] = [];
  let text = purpose;
  for (const field of fields) {
    const entry = field === undefined ? '-' : `${String(field.length)}:${field}`;
    prefixed.push(entry);
    text += `\n${entry}`;
  }
  // UTF-8 cannot express half of a surrogate pair, and JSON escapes it. Without that, all halves would be the same bytes.
  return sha256(text.isWellFormed() ? text : `${purpose} as JSON\n${JSON.stringify(prefixed)}`);
}
