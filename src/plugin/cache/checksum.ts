import { parseJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

/** A file of another version counts as absent. */
const VERSION = 1;

const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * FNV-1a (RFC 9923) with 32 bits, over UTF-16 units. It is against a broken disk, not against people: who can write here
 * can write a checksum. Each step is reversible, so a text with one other unit never has the same; and it is one step where
 * SHA-256 takes sixty, of which a cache hit would have a thousand.
 */
export function computeChecksum(text: string): string {
  let sum = OFFSET_BASIS;
  for (let index = 0; index < text.length; index += 1) sum = Math.imul(sum ^ text.charCodeAt(index), PRIME);
  return (sum >>> 0).toString(16);
}

/** Serialises an object under its own checksum. */
export function serializeWithChecksum(content: object): string {
  const text = JSON.stringify({ version: VERSION, ...content });
  return `${computeChecksum(text)}\n${text}\n`;
}

/** Gives the object under the checksum, or undefined if a single bit is not as it was written. */
export function parseWithChecksum(sealed: string | undefined): JsonObject | undefined {
  const [checksum, text, rest] = sealed?.split('\n') ?? [];
  if (checksum === undefined || text === undefined || rest !== '' || computeChecksum(text) !== checksum)
    return undefined;
  const content = parseJsonObject(text);
  return content?.['version'] === VERSION ? content : undefined;
}
