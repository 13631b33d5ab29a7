/** A place in a text, as editors show it. */
export interface Position {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 code units. */
  readonly column: number;
}

/** Returns a function that finds the position of an offset in the text. */
export function makePositionFinder(text: string): (at: number) => Position {
  const lineStarts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (at) => {
    let [low, high] = [0, lineStarts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((lineStarts[middle] ?? 0) <= at) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: at - (lineStarts[low] ?? 0) + 1 };
  };
}

/** Describes a position for a message: `line 3, column 5`. */
export function describePosition({ line, column }: Position): string {
  return `line ${line}, column ${column}`;
}
