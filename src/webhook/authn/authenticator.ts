import type { Secret } from '../../shared/base/secret.ts';
import type { TokenVerdict } from '../review/review.ts';

/** How a verdict was reached; a label of the metrics. */
export type VerdictSource = 'shape' | 'cache' | 'keystone' | 'gate' | 'oidc' | 'timeout';

/** The verdict on a token and how it was reached. */
export interface AuthenticationResult {
  readonly verdict: TokenVerdict;
  readonly source: VerdictSource;
}

export type AuthenticateFunction = (token: Secret) => Promise<AuthenticationResult>;

/** Authenticates one kind of token. */
export interface Authenticator {
  /** Whether a token is of this kind; sends no request, so that other kinds of tokens cause none. */
  readonly recognizes: (token: string) => boolean;
  readonly authenticate: AuthenticateFunction;
}
