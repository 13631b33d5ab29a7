/** Text that a POSIX shell reads as it is. */
const PLAIN = /^[\w@%+:,./-]+$/;

/** Quotes text as one word of a POSIX shell (POSIX.1-2017, Shell Command Language, section 2.2.2). */
export function quoteAlways(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Quotes text as one word of a POSIX shell, if it needs quotes. */
export function quoteForShell(text: string): string {
  return PLAIN.test(text) ? text : quoteAlways(text);
}
