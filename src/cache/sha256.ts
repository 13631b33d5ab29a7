/**
 * SHA-256 (FIPS 180-4) in plain code. Loading `node:crypto` costs a cache hit about a seventh of its time, hashing a
 * kilobyte here costs next to nothing. It names and checks files; nothing secret rests on it being constant in time. A
 * unit test compares it with `node:crypto`.
 */

const BLOCK_BYTES = 64;
const LENGTH_BYTES = 8;

/** The first 32 bits of the fractional part of a root (FIPS 180-4, sections 4.2.2 and 5.3.3). */
const fraction = (root: number): number => ((root - Math.floor(root)) * 0x1_0000_0000) | 0;

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate += 1) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}

const PRIMES = firstPrimes(64);
const ROUND_CONSTANTS = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

function pad(message: Uint8Array): DataView {
  const blocks = Math.ceil((message.length + 1 + LENGTH_BYTES) / BLOCK_BYTES);
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - LENGTH_BYTES, BigInt(message.length) * 8n);
  return view;
}

/**
 * Sections 6.2.2.1 to 6.2.2.4: one block, in the standard's own names. All in one loop, without calls: a function that is
 * called a thousand times makes V8 compile it anew, and better, in the middle of a run that is over in a moment.
 */
function compress(state: Int32Array, view: DataView, offset: number, words: Int32Array): void {
  const [h0 = 0, h1 = 0, h2 = 0, h3 = 0, h4 = 0, h5 = 0, h6 = 0, h7 = 0] = state;
  let [a, b, c, d, e, f, g, h] = [h0, h1, h2, h3, h4, h5, h6, h7];
  for (let t = 0; t < 64; t += 1) {
    let word: number;
    if (t < 16) {
      word = view.getInt32(offset + t * 4);
    } else {
      const x = words[t - 15] ?? 0;
      const y = words[t - 2] ?? 0;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      word = ((words[t - 16] ?? 0) + s0 + (words[t - 7] ?? 0) + s1) | 0;
    }
    words[t] = word;
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (ROUND_CONSTANTS[t] ?? 0) + word) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  // An Int32Array keeps 32 bits of a sum.
  state.set([h0 + a, h1 + b, h2 + c, h3 + d, h4 + e, h5 + f, h6 + g, h7 + h]);
}

/** The SHA-256 of the text's UTF-8 bytes, in hex. */
export function sha256(text: string): string {
  const view = pad(Buffer.from(text));
  const state = Int32Array.from(INITIAL);
  const words = new Int32Array(64);
  for (let offset = 0; offset < view.byteLength; offset += BLOCK_BYTES) {
    compress(state, view, offset, words);
  }
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}
