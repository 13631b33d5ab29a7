/** Controls, format characters (bidirectional, zero-width, tags), what is private or no character; line separators. */
const UNPRINTABLE = /[\p{C}\u2028\u2029]/gu;

/** Makes any text safe for a terminal and a single line. */
export function makePrintable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
