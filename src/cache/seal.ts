import { parseJsonObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { sha256 } from './sha256.ts';

/** A file of another version counts as absent. */
const VERSION = 1;

/** Serialises an object under its own checksum. */
export function seal(content: object): string {
  const text = JSON.stringify({ version: VERSION, ...content });
  return `${sha256(text)}\n${text}\n`;
}

/** Gives the object under the checksum, or undefined if a single bit is not as it was written. */
export function unseal(sealed: string | undefined): JsonObject | undefined {
  const [checksum, text, rest] = sealed?.split('\n') ?? [];
  if (checksum === undefined || text === undefined || rest !== '' || sha256(text) !== checksum) return undefined;
  const content = parseJsonObject(text);
  return content?.['version'] === VERSION ? content : undefined;
}
