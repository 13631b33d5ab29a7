/** Reads a request for a token exchange (RFC 8693, section 2.1). */
import type { Secret } from '../../shared/base/secret.ts';
import { EXCHANGE_GRANT, ID_TOKEN_TYPE, KEYSTONE_TOKEN_TYPE } from '../../shared/oidc/exchange-parameters.ts';
import { UntrackedSecret } from '../review/untracked-secret.ts';
import { OAuthError } from './oauth-error.ts';

const FORM_TYPE = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i;

/** More than a client ever sends. */
const MAX_PARAMETERS = 32;

/** The largest form, in bytes; a token has 8 KiB at most. */
export const MAX_FORM_BYTES = 64 * 1024;

export interface ExchangeRequest {
  readonly subjectToken: Secret;
  readonly audience: string;
}

const invalid = (description: string): OAuthError => new OAuthError('invalid_request', description);

/**
 * Refuses a body that is not a form.
 *
 * @throws OAuthError
 */
export function checkFormType(contentType: string | undefined): void {
  if (!FORM_TYPE.test(contentType ?? '')) {
    throw invalid('the content type must be application/x-www-form-urlencoded');
  }
}

/** An empty parameter counts as absent, and one that is sent twice is an error (RFC 6749, section 3.2). */
function readParameters(body: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(body)) {
    count += 1;
    if (count > MAX_PARAMETERS) throw invalid('there are too many parameters');
    if (parameters.has(name)) throw invalid('a parameter is repeated');
    parameters.set(name, value);
  }
  for (const [name, value] of parameters) if (value === '') parameters.delete(name);
  return parameters;
}

/**
 * Reads the body of a request.
 *
 * @throws OAuthError
 */
export function readExchangeRequest(body: string): ExchangeRequest {
  const parameters = readParameters(body);
  const readRequired = (name: string): string => {
    const value = parameters.get(name);
    if (value === undefined) throw invalid(`the parameter ${name} is missing`);
    return value;
  };
  if (readRequired('grant_type') !== EXCHANGE_GRANT)
    throw new OAuthError('unsupported_grant_type', `grant_type must be ${EXCHANGE_GRANT}`);
  const subjectToken = readRequired('subject_token');
  if (readRequired('subject_token_type') !== KEYSTONE_TOKEN_TYPE) {
    throw invalid(`subject_token_type must be ${KEYSTONE_TOKEN_TYPE}`);
  }
  if ((parameters.get('requested_token_type') ?? ID_TOKEN_TYPE) !== ID_TOKEN_TYPE) {
    throw invalid(`requested_token_type must be ${ID_TOKEN_TYPE}`);
  }
  if (parameters.has('actor_token') || parameters.has('actor_token_type')) {
    throw invalid('an actor token is not supported');
  }
  if (parameters.has('resource')) {
    throw new OAuthError('invalid_target', 'the parameter resource is not supported; use audience');
  }
  return { subjectToken: new UntrackedSecret(subjectToken), audience: readRequired('audience') };
}
