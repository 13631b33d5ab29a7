import type { Policy } from './policy/policy.ts';
import { findAllowingEntry } from './policy/policy.ts';
import { readSubject } from './policy/subject.ts';
import type { AccessRequest, AccessReview, AccessVerdict } from '../review/review.ts';

export type Authorizer = (review: AccessReview) => AccessVerdict;

/** A request in few words: `get pods in web`. */
export function describeRequest(request: AccessRequest): string {
  if (request.kind === 'path') return `${request.verb} ${request.path}`;
  const { verb, resource, subresource, group, namespace } = request;
  const what = `${resource}${subresource === '' ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
  return `${verb} ${what}${namespace === '' ? '' : ` in ${namespace}`}`;
}

/**
 * Makes what answers SubjectAccessReviews.
 *
 * @param policy as of now
 * @param denies whether what no entry allows is denied, rather than left to the cluster's other authorizers
 */
export function makeAuthorizer(policy: () => Policy, denies: boolean): Authorizer {
  return (review) => {
    const subject = readSubject(review);
    const entry = findAllowingEntry(policy(), subject, review.request);
    if (entry !== undefined)
      return { allowed: true, denied: false, reason: `entry ${entry.number} of the Keystone policy` };
    // Not even then: the cluster's own accounts are not Keystone's business.
    if (!subject.isKeystoneUser) return { allowed: false, denied: false, reason: 'not a user of Keystone' };
    return { allowed: false, denied: denies, reason: 'no entry of the Keystone policy allows it' };
  };
}
