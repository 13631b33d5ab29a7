/** Where an entry of a policy means something else than in the Go program. */

interface Difference {
  /** Whether the entry grants more or less than in the Go program. */
  readonly grants: 'more' | 'less';
  /** The whole entry grants nothing, because what it restricts is not understood. */
  readonly voidsEntry?: true;
}

/** The differences by the names that `policy lint` prints; docs/webhook/differences.md has a row for each. */
export const DIFFERENCES = {
  'lost-subresources': { grants: 'less' },
  'named-subresource': { grants: 'more' },
  'spaced-negation': { grants: 'less' },
  'unclear-exclusion': { grants: 'less' },
  'changed-letters': { grants: 'less' },
  'without-users': { grants: 'less' },
  'unknown-in-users': { grants: 'less', voidsEntry: true },
  'users-domains': { grants: 'less' },
  'unknown-restriction': { grants: 'less', voidsEntry: true },
  'user-id': { grants: 'more' },
  'empty-user': { grants: 'less' },
  'empty-name': { grants: 'less' },
  'incomplete-resource': { grants: 'less' },
} as const satisfies Readonly<Record<string, Difference>>;

export type DifferenceName = keyof typeof DIFFERENCES;

/** Whether an entry with this difference grants nothing. */
export const voidsEntry = (name: DifferenceName): boolean => 'voidsEntry' in DIFFERENCES[name];
