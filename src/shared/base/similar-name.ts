/** No name is longer, and the comparison of long texts takes long. */
const MAX_LENGTH = 64;

/** How many characters may differ between a name and the one that its author meant. A typo leaves little of a short name. */
function countAllowedTypos(name: string): number {
  if (name.length < 3) return 0;
  return name.length < 6 ? 1 : 2;
}

/**
 * The number of characters to insert, delete or replace, and of neighbours to swap, that makes one text of the other
 * (Damerau and Levenshtein).
 */
function measureDistance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (b[j - 1] === a[i] ? 0 : 1);
      const isSwap = i > 0 && j > 1 && b[j - 1] === a[i - 1] && b[j - 2] === a[i];
      const swapped = isSwap ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(replaced, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

/** Leaves out what writers of names vary: capitals, dashes and underscores. Keeps the letters of every script. */
const compact = (name: string): string =>
  name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}]/gu, '');

/** Counts the typos that make a name of another; undefined if they are too many for a misspelled form of it. */
function countTyposBetween(name: string, other: string): number | undefined {
  if (name.length > MAX_LENGTH || other.length > MAX_LENGTH) return undefined;
  const [a, b] = [compact(name), compact(other)];
  const limit = countAllowedTypos(a);
  // Punctuation alone says nothing about what its author meant.
  if (a === '' || Math.abs(a.length - b.length) > limit) return undefined;
  const distance = measureDistance(a, b);
  return distance <= limit ? distance : undefined;
}

/** Whether a name is probably a misspelled form of another, such as `user` of `users`. */
export function isSimilarName(name: string, other: string): boolean {
  return countTyposBetween(name, other) !== undefined;
}

/** Finds the candidate that a name is most likely a misspelled form of. */
export function findSimilarName(name: string, candidates: readonly string[]): string | undefined {
  const similar = candidates.flatMap((candidate) => {
    const typos = countTyposBetween(name, candidate);
    return typos === undefined ? [] : [{ candidate, typos }];
  });
  return similar.toSorted((one, other) => one.typos - other.typos)[0]?.candidate;
}
