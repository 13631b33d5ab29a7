/**
 * Changes the end of a token in base64url, whatever it is. The last character would not do: not all of its bits count.
 *
 * @param token of at least four characters
 */
export function damageEnd(token: string): string {
  return `${token.slice(0, -4)}${token.at(-4) === 'A' ? 'B' : 'A'}AAA`;
}
