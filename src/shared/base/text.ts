/** Makes text from elsewhere fit for a message. */
import { redact } from './secret.ts';

/** Longest quotation of a server's text in a message, in characters. */
const MAX_QUOTATION = 300;

/**
 * Controls, format characters (bidirectional, zero-width, tags), private and unassigned characters, line separators.
 */
const UNPRINTABLE = /[\p{C}\u2028\u2029]/gu;

/** Escapes every character that could change a terminal or start a new line. */
export function makePrintable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Prepares a server's text for a message: a hostile server may repeat the credential, or never stop. */
export function redactAndTruncate(text: string): string {
  return redact(text).trim().slice(0, MAX_QUOTATION);
}
