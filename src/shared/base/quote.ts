import { redact } from './secret.ts';

/** Text of the server's, fit to be quoted: a hostile one may say the credential back to us, or go on for ever. */
export function redactAndTruncate(text: string): string {
  return redact(text).trim().slice(0, 300);
}
