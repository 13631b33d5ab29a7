/** Where the pieces of a YAML text stand in it. Offsets are those of JavaScript strings. */

/** From the first character to the one after the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A value and all below it. */
export type Tree = ScalarTree | AliasTree | MapTree | ListTree;

/** Text, a number, true, false or null; what is left empty stands at one place. */
export interface ScalarTree extends Span {
  readonly kind: 'scalar';
  readonly value: unknown;
}

export interface AliasTree extends Span {
  readonly kind: 'alias';
}

export interface MapTree extends Span {
  readonly kind: 'map';
  /** In braces. */
  readonly flow: boolean;
  readonly pairs: readonly PairTree[];
}

export interface PairTree extends Span {
  readonly key: string;
  /** After the colon, or after the key where there is none. */
  readonly colon: number;
  readonly value: Tree;
}

export interface ListTree extends Span {
  readonly kind: 'list';
  /** In brackets. */
  readonly flow: boolean;
  readonly items: readonly ItemTree[];
}

export interface ItemTree extends Span {
  readonly value: Tree;
}

/** One document of a text. */
export interface DocumentTree {
  readonly data: unknown;
  /** Undefined where it is empty. */
  readonly root: Tree | undefined;
}

/** A text that is YAML. */
export interface StreamTree {
  readonly documents: readonly DocumentTree[];
  readonly comments: readonly Span[];
}
