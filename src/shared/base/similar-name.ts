/** How many characters may differ between a name and the one that its author meant. */
const countTypos = (name: string): number => (name.length < 6 ? 1 : 2);

/** The number of characters to insert, delete or replace that makes one text of the other (Levenshtein). */
function measureDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (b[j - 1] === a[i] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Leaves out what writers of names vary: capitals, dashes and underscores. */
const compact = (name: string): string => name.toLowerCase().replaceAll(/[^a-z\d]/g, '');

/** Whether a name is probably a misspelt form of another, such as `user` of `users`. */
export function isSimilarName(name: string, other: string): boolean {
  const [a, b] = [compact(name), compact(other)];
  const limit = countTypos(a);
  return Math.abs(a.length - b.length) <= limit && measureDistance(a, b) <= limit;
}
