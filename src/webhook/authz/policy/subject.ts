import { EXTRA_KEYS, EXTRA_PREFIX } from '../../authn/user-info.ts';
import type { AccessReview } from '../../review/review.ts';

/** The user of a request, with the properties that a policy can test. */
export interface Subject {
  readonly name: string;
  readonly uid: string;
  readonly groups: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  /** IDs and names. */
  readonly projects: ReadonlySet<string>;
  /** ID and name of the domain of the user. */
  readonly domains: ReadonlySet<string>;
  /** Whether this webhook authenticated the user by a Keystone token. */
  readonly isKeystoneUser: boolean;
}

/** Reads the user of a review. */
export function readSubject({ user, uid, groups, extra }: AccessReview): Subject {
  const readExtra = (...keys: readonly string[]): ReadonlySet<string> =>
    new Set(keys.flatMap((key) => extra.get(key) ?? []).filter((value) => value !== ''));
  return {
    name: user,
    uid,
    groups: new Set(groups),
    roles: readExtra(EXTRA_KEYS.roles),
    projects: readExtra(EXTRA_KEYS.projectId, EXTRA_KEYS.projectName),
    domains: readExtra(EXTRA_KEYS.domainId, EXTRA_KEYS.domainName),
    isKeystoneUser: [...extra.keys()].some((key) => key.startsWith(EXTRA_PREFIX)),
  };
}
