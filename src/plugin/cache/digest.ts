import { sha256 } from './sha256.ts';

/** One input of a digest; undefined differs from the empty string. */
export type DigestField = string | undefined;

/**
 * SHA-256 over length-prefixed fields, in hex: no two different lists give the same input, wherever their borders lie.
 *
 * @param purpose names what is hashed, and its version
 */
export function digestFields(purpose: string, fields: readonly DigestField[]): string {
  const framed = fields.map((field) => (field === undefined ? '-' : `${String(field.length)}:${field}`));
  return sha256([purpose, ...framed].join('\n'));
}
