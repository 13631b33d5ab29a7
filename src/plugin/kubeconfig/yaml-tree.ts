/** Where the parts of a YAML text are. Offsets count UTF-16 code units, as JavaScript strings do. */

/** From the first character to the one after the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A value and everything below it. */
export type Tree = ScalarTree | AliasTree | MapTree | ListTree;

/** Text, a number, true, false or null. An omitted value is an empty span. */
export interface ScalarTree extends Span {
  readonly kind: 'scalar';
  readonly value: unknown;
}

export interface AliasTree extends Span {
  readonly kind: 'alias';
}

export interface MapTree extends Span {
  readonly kind: 'map';
  /** Whether it is written in braces. */
  readonly flow: boolean;
  readonly pairs: readonly PairTree[];
}

export interface PairTree extends Span {
  readonly key: string;
  /** The offset after the colon, or after the key if there is no colon. */
  readonly colon: number;
  readonly value: Tree;
}

export interface ListTree extends Span {
  readonly kind: 'list';
  /** Whether it is written in brackets. */
  readonly flow: boolean;
  readonly items: readonly ItemTree[];
}

export interface ItemTree extends Span {
  readonly value: Tree;
}

/** A key that a map has more than once. The last one counts. */
export interface RepeatedKey {
  readonly key: string;
  /** The lines of its first and its last occurrence, counted from 1. */
  readonly firstLine: number;
  readonly lastLine: number;
}

/** One document of a text. */
export interface DocumentTree {
  readonly data: unknown;
  readonly repeatedKeys: readonly RepeatedKey[];
  /** Undefined if the document is empty. */
  readonly root: Tree | undefined;
}

/** All documents of a YAML text, and its comments. */
export interface StreamTree {
  readonly documents: readonly DocumentTree[];
  readonly comments: readonly Span[];
}
