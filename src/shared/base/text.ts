/** Makes text from elsewhere fit for a message. */
import { redact } from './secret.ts';

/** Longest quotation of a server's text in a message, in characters. */
const MAX_QUOTATION = 300;

/** Prepares a server's text for a message: a hostile server may repeat the credential, or never stop. */
export function redactAndTruncate(text: string): string {
  return redact(text).trim().slice(0, MAX_QUOTATION);
}

/** Removes the slashes at the end. A regular expression would try each slash of a hostile path as the first one. */
export function removeTrailingSlashes(path: string): string {
  let end = path.length;
  while (path[end - 1] === '/') end -= 1;
  return path.slice(0, end);
}
