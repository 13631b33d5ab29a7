/** A problem of a policy entry. */
export interface Finding {
  /** The number of the entry, counted from 1; 0 is the policy itself. */
  readonly entry: number;
  /**
   * `never`: the entry, or this part of it, never grants anything. `fault`: the Go program understood it differently.
   * `odd`: it is probably not what its author meant.
   */
  readonly kind: 'never' | 'fault' | 'odd';
  readonly message: string;
}

/** Receives the problems of one entry. */
export type FindingReporter = (kind: Finding['kind'], message: string) => void;
