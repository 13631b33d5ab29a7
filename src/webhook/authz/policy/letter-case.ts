/** How the Go program changes and ignores capitals. It knows a few letters outside ASCII that become letters of it. */

/** Changes ASCII letters to lower case: only these have one lower case in Go and here. */
export const lowerCase = (text: string): string => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** The letters outside ASCII whose lower case in Go (`unicode.ToLower`) is in ASCII: a dotted I, and the kelvin sign. */
const LETTERS: ReadonlyMap<string, string> = new Map([
  ['\u0130', 'i'],
  ['\u212A', 'k'],
]);

/** Changes the letters outside ASCII that Go changes to letters of ASCII. */
export const replaceGoLetters = (text: string): string =>
  text.replaceAll(/[\u0130\u212A]/g, (letter) => LETTERS.get(letter) ?? letter);

/** Folds the name of a member as Go's `encoding/json` compares names: two other letters fold to `s` and `k`. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll('\u017f', 's');
}
