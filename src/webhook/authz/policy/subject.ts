import { EXTRA_NAMES, EXTRA_PREFIX, MAPPED_EXTRA_PREFIX } from '../../authn/user-info.ts';
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
  /** Whether a Keystone token authenticated the user: at this webhook, or at the issuer. */
  readonly isKeystoneUser: boolean;
}

const PREFIXES = [EXTRA_PREFIX, MAPPED_EXTRA_PREFIX];

/** Reads the user of a review. Keys of both prefixes are never combined. */
export function readSubject({ user, uid, groups, extra }: AccessReview): Subject {
  const prefix = PREFIXES.find((each) => [...extra.keys()].some((key) => key.startsWith(each)));
  const readExtra = (...names: readonly string[]): ReadonlySet<string> =>
    new Set(
      names
        .flatMap((name) => (prefix === undefined ? undefined : extra.get(prefix + name)) ?? [])
        .filter((value) => value !== ''),
    );
  return {
    name: user,
    uid,
    groups: new Set(groups),
    roles: readExtra(EXTRA_NAMES.roles),
    projects: readExtra(EXTRA_NAMES.projectId, EXTRA_NAMES.projectName),
    domains: readExtra(EXTRA_NAMES.domainId, EXTRA_NAMES.domainName),
    isKeystoneUser: prefix !== undefined,
  };
}
