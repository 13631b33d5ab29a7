import { Secret } from './secret.ts';

/** A token is printable ASCII without spaces: anything else would break, or break out of, an HTTP header. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/;

/** Text that can be a token, whoever made it; undefined for what no header could carry. */
export function parseHeaderToken(text: string | undefined): Secret | undefined {
  return text !== undefined && TOKEN.test(text) ? new Secret(text) : undefined;
}
