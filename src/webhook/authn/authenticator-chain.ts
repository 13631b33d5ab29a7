import type { Secret } from '../../shared/base/secret.ts';
import type { AuthenticationResult, AuthenticateFunction } from './keystone-authenticator.ts';

/** One who knows some kind of tokens. */
export interface Authenticator {
  /** Whether a token is of the kind, told without asking anybody: the others' tokens must not become requests. */
  readonly recognizes: (token: string) => boolean;
  readonly authenticate: AuthenticateFunction;
}

const NOBODYS: AuthenticationResult = {
  verdict: { kind: 'refused', reason: 'it is no token of Keystone or of an issuer that is known here' },
  source: 'shape',
};

/**
 * Asks those who recognise a token, in their order, until one accepts it. Where none does, it is refused, or undecided if
 * one of them could not tell.
 */
export function chainAuthenticators(authenticators: readonly Authenticator[]): AuthenticateFunction {
  return async (token: Secret) => {
    const text = token.reveal();
    let answered = NOBODYS;
    for (const { recognizes, authenticate } of authenticators) {
      if (!recognizes(text)) continue;
      const next = await authenticate(token);
      if (next.verdict.kind === 'accepted') return next;
      if (answered.verdict.kind !== 'unknown') answered = next;
    }
    return answered;
  };
}
