import type { Secret } from '../../shared/base/secret.ts';
import type { AuthenticateFunction, AuthenticationResult, Authenticator } from './authenticator.ts';

const UNRECOGNIZED: AuthenticationResult = {
  verdict: {
    kind: 'refused',
    cause: 'unrecognized',
    reason: 'the token belongs to neither Keystone nor a configured issuer',
  },
  source: 'shape',
};

/**
 * Tries the authenticators that recognize a token in order until one accepts it. If none does, the result is refused,
 * or unknown if one of them could not decide.
 */
export function chainAuthenticators(authenticators: readonly Authenticator[]): AuthenticateFunction {
  return async (token: Secret) => {
    const text = token.reveal();
    let result = UNRECOGNIZED;
    for (const { recognizes, authenticate } of authenticators) {
      if (!recognizes(text)) continue;
      const next = await authenticate(token);
      if (next.verdict.kind === 'accepted') return next;
      if (result.verdict.kind !== 'unknown') result = next;
    }
    return result;
  };
}
