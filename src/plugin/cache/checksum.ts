import { parseJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { nativeHashes } from './native-hashes.ts';

/** A file with another format version counts as absent. */
const VERSION = 2;

/** Mixes four bytes. Each step is reversible. */
function scramble(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

/** MurmurHash3 with 32 bits and the seed 0. Source: MurmurHash3_x86_32 of SMHasher. */
function computeMurmur3(text: string): number {
  const bytes = Buffer.from(text);
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length - (bytes.length % 4);
  let hash = 0;
  for (let index = 0; index < end; index += 4) {
    const mixed = hash ^ scramble(words.getInt32(index, true));
    hash = (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let index = bytes.length - 1; index >= end; index -= 1) rest = (rest << 8) | words.getUint8(index);
  hash ^= scramble(rest) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Computes MurmurHash3 with 32 bits. It detects disk errors, not attackers: whoever can write the file can also write a
 * checksum. Each step is reversible, so a change within one group of four bytes always changes the checksum. It needs no
 * module, which a cache hit would have to load.
 */
export function computeChecksum(text: string): string {
  return (nativeHashes?.murmur3(text) ?? computeMurmur3(text)).toString(16);
}

/** Serializes an object with a checksum on the line before it. */
export function serializeWithChecksum(content: object): string {
  const text = JSON.stringify({ version: VERSION, ...content });
  return `${computeChecksum(text)}\n${text}\n`;
}

/** Parses a text that {@link serializeWithChecksum} wrote; undefined if a single bit has changed since. */
export function parseWithChecksum(serialized: string | undefined): JsonObject | undefined {
  const [checksum, text, ...rest] = serialized?.split('\n') ?? [];
  const isComplete = rest.length === 1 && rest[0] === '';
  if (!isComplete || text === undefined || computeChecksum(text) !== checksum) return undefined;
  const content = parseJsonObject(text);
  return content?.['version'] === VERSION ? content : undefined;
}
