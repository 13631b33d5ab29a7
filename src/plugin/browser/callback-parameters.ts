/** The parameters that a browser brings, by name. */
export type CallbackParameters = ReadonlyMap<string, string>;

/** In characters; longer than any address with an authorization code. */
const MAX_PASTED_LENGTH = 16_384;

/** Reads a query or a form; undefined when a name occurs twice, because it is ambiguous (RFC 6749, section 3.1). */
export function parseCallbackParameters(text: string): CallbackParameters | undefined {
  const pairs = [...new URLSearchParams(text)];
  const values = new Map(pairs);
  return values.size === pairs.length ? values : undefined;
}

/** Reads what a user copied from a browser: an address, its query, or the authorization code, which is named `code`. */
export function parsePastedCallback(text: string): CallbackParameters | undefined {
  const pasted = text.trim();
  if (pasted === '' || pasted.length > MAX_PASTED_LENGTH || /\s/.test(pasted)) return undefined;
  if (/^https?:/i.test(pasted))
    return URL.canParse(pasted) ? parseCallbackParameters(new URL(pasted).search) : undefined;
  const isQuery = /^\?|^\w+=[^&]*&/.test(pasted) || /^(code|error|state)=/.test(pasted);
  return isQuery ? parseCallbackParameters(pasted) : new Map([['code', pasted]]);
}
