/** Reads a policy without trusting it: a member of a wrong type makes the whole policy invalid. */
import { makeMemberReader } from '../../../shared/base/json-members.ts';

/** The text is not a policy. */
export class InvalidPolicyError extends Error {}

/** Each reader throws an InvalidPolicyError for a member of another type. */
export const policyMembers = makeMemberReader(
  (name, expected) => new InvalidPolicyError(`"${name}" must be ${expected}`),
);
