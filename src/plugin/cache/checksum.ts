import { parseJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

/** A file with another format version counts as absent. */
const VERSION = 1;

const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * Computes FNV-1a (RFC 9923) with 32 bits over UTF-16 units. It detects disk errors, not attackers: who can write the
 * file can also write a checksum. Each step is reversible, so a change to one unit always changes the checksum. It
 * takes one step where SHA-256 takes sixty, and a cache hit would need a thousand of those.
 */
export function computeChecksum(text: string): string {
  let hash = OFFSET_BASIS;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), PRIME);
  return (hash >>> 0).toString(16);
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
