/** Splits `a, b` at the commas and trims the parts; empty parts stay. */
export const splitAtCommas = (text: string): readonly string[] => text.split(',').map((part) => part.trim());

/** Reads a list such as `a, b`; undefined is an empty list, and empty parts are ignored. */
export const parseCommaList = (text: string | undefined): readonly string[] =>
  splitAtCommas(text ?? '').filter((part) => part !== '');
