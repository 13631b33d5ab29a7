/** Asks for no scope in the words that the server knows. */
import type { HttpResponse } from '../http/http-message.ts';
import type { AuthRequest } from './auth-request.ts';

/**
 * Rewords a request for no scope after a server has refused its body. Python Keystone wants `{"unscoped": {}}`. Rust
 * Keystone wants the text `"unscoped"`, or no scope at all: it gives nobody a default project.
 *
 * @returns undefined if the server refused something else, or if the request works only once
 */
export function rewordUnscoped(request: AuthRequest, { status, body }: HttpResponse): AuthRequest | undefined {
  const { unscopedForms, isSingleUse, ...rest } = request;
  if (unscopedForms === undefined || isSingleUse === true || (status !== 400 && status !== 422)) return undefined;
  if (/auth\.scope\.unscoped: invalid type: map, expected unit\b/.test(body))
    return { ...rest, body: unscopedForms.text };
  return body.includes('auth.scope: unknown variant `unscoped`') ? { ...rest, body: unscopedForms.absent } : undefined;
}
