/** What a browser brings, by name. */
export type CallbackParameters = ReadonlyMap<string, string>;

/** Longer than any address that holds a code. */
const LONGEST_PASTED = 16_384;

/** Reads a query or a form; undefined where a name comes twice, since nobody could say which one counts (RFC 6749, 3.1). */
export function parseCallbackParameters(text: string): CallbackParameters | undefined {
  const pairs = [...new URLSearchParams(text)];
  const values = new Map(pairs);
  return values.size === pairs.length ? values : undefined;
}

/** Reads what a person copied out of a browser: an address, its query, or the code alone, which then is named `code`. */
export function parsePastedCallback(text: string): CallbackParameters | undefined {
  const pasted = text.trim();
  if (pasted === '' || pasted.length > LONGEST_PASTED || /\s/.test(pasted)) return undefined;
  if (/^https?:/i.test(pasted))
    return URL.canParse(pasted) ? parseCallbackParameters(new URL(pasted).search) : undefined;
  const query = /^\?|^\w+=[^&]*&/.test(pasted) || /^(code|error|state)=/.test(pasted);
  return query ? parseCallbackParameters(pasted) : new Map([['code', pasted]]);
}
