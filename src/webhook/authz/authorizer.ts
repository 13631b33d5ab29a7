import type { AccessReview, AccessVerdict } from '../review/review.ts';
import { findAllowingEntry } from './policy/policy.ts';
import type { Policy } from './policy/policy.ts';
import { readSubject } from './policy/subject.ts';

export type Authorizer = (review: AccessReview) => AccessVerdict;

/**
 * Makes the function that decides SubjectAccessReviews.
 *
 * @param policy returns the current policy
 * @param options.deniesUnmatched whether a request that no entry allows is denied instead of left to the other authorizers
 */
export function makeAuthorizer(
  policy: () => Policy,
  { deniesUnmatched }: { readonly deniesUnmatched: boolean },
): Authorizer {
  return (review) => {
    const subject = readSubject(review);
    const entry = findAllowingEntry(policy(), subject, review.request);
    if (entry !== undefined)
      return { allowed: true, denied: false, reason: `entry ${entry.number} of the Keystone policy` };
    // Never denied: the policy is not responsible for the accounts of the cluster itself.
    if (!subject.isKeystoneUser) return { allowed: false, denied: false, reason: 'not a user of Keystone' };
    return { allowed: false, denied: deniesUnmatched, reason: 'no entry of the Keystone policy allows it' };
  };
}
