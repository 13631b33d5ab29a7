/** What is odd about an entry of a policy. */
export interface Finding {
  /** Of the entry, counted from 1; 0 is the policy itself. */
  readonly entry: number;
  /**
   * `never`: it, or this part of it, grants nothing to anybody. `fault`: the Go program understood it differently.
   * `odd`: it is probably not what was meant.
   */
  readonly kind: 'never' | 'fault' | 'odd';
  readonly message: string;
}

/** Takes what an entry's parts find. */
export type FindingReporter = (kind: Finding['kind'], message: string) => void;

/** Faults of the Go program that a cluster may depend on, each to be had back by its name. */
export const COMPATIBILITIES = {
  'v2-subresources': 'version 2 ignores subresources: `pods` grants `pods/exec`, `pods/log` and all the others',
  'spaced-negation': "`! ['secrets']` with a space after the `!` matches everything, secrets included",
  'wrong-users': '`users` of a wrong type, such as a list, restricts nobody',
  'mapped-system-names': 'role mappings may give names that begin with `system:`',
} as const;

export type Compatibility = keyof typeof COMPATIBILITIES;

export type Compatibilities = ReadonlySet<Compatibility>;
