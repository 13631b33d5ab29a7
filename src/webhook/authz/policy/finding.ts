import type { DifferenceName } from './differences.ts';
import type { Position } from './position.ts';

/** A problem of a policy entry. */
export interface Finding extends Position {
  /** The number of the entry, counted from 1; 0 is the policy itself. */
  readonly entry: number;
  /**
   * `never`: the entry, or this part of it, never grants anything. `fault`: the Go program understood it differently.
   * `odd`: it is probably not what its author meant.
   */
  readonly kind: 'never' | 'fault' | 'odd';
  /** How the Go program understood it, if the kind is `fault`. */
  readonly difference?: DifferenceName;
  readonly message: string;
}

/** A kind of problem; the name of a difference stands for a `fault`. */
export type ReportedKind = 'never' | 'odd' | DifferenceName;

/** Receives the problems of one entry; `at` is the offset in the text where the problem is. */
export type FindingReporter = (kind: ReportedKind, message: string, at: number) => void;
