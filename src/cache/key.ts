import { createHash } from 'node:crypto';

/** One input of a digest; undefined differs from the empty string. */
export type Field = string | undefined;

/**
 * SHA-256 over length-prefixed fields, in hex: no two different lists give the same input, wherever their borders lie.
 *
 * @param purpose names what is hashed, and its version
 */
export function digestFields(purpose: string, fields: readonly Field[]): string {
  const hash = createHash('sha256').update(`${purpose}\n`);
  for (const field of fields) {
    hash.update(field === undefined ? '-\n' : `${String(Buffer.byteLength(field))}:`);
    if (field !== undefined) hash.update(`${field}\n`);
  }
  return hash.digest('hex');
}
