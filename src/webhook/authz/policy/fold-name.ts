/** Folds the name of a member as Go's `encoding/json` compares names: two other letters fold to `s` and `k`. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll('\u017f', 's');
}
