import type { AuthRequest } from '../../shared/keystone/auth-request.ts';
import type { Secret } from '../../shared/base/secret.ts';

/** Builds the request that validates a token and returns its details (Keystone API v3, "Validate token"). */
export function buildValidationRequest(
  token: Secret,
): Pick<AuthRequest, 'verb' | 'path' | 'headers' | 'existingToken'> {
  return {
    verb: 'GET',
    path: 'auth/tokens?nocatalog=true',
    headers: { 'x-auth-token': token, 'x-subject-token': token },
    existingToken: token,
  };
}
