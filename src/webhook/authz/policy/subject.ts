import { EXTRA_KEYS, EXTRA_PREFIX } from '../../authn/user-info.ts';
import type { AccessReview } from '../../review/review.ts';

/** Who asks, as far as a policy can tell users apart. */
export interface Subject {
  readonly name: string;
  readonly uid: string;
  readonly groups: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  /** Ids and names. */
  readonly projects: ReadonlySet<string>;
  /** Whether a token of Keystone's stands behind the request. */
  readonly isKeystoneUser: boolean;
}

/** Reads who asks out of a review. */
export function readSubject({ user, uid, groups, extra }: AccessReview): Subject {
  const of = (...names: readonly string[]): ReadonlySet<string> =>
    new Set(names.flatMap((name) => extra.get(name) ?? []).filter((value) => value !== ''));
  return {
    name: user,
    uid,
    groups: new Set(groups),
    roles: of(EXTRA_KEYS.roles),
    projects: of(EXTRA_KEYS.projectId, EXTRA_KEYS.projectName),
    isKeystoneUser: [...extra.keys()].some((name) => name.startsWith(EXTRA_PREFIX)),
  };
}
