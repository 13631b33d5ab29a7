const MOST = 20;
const LONGEST = 64;

/** Names that a user may choose from, in a message: not all of a list without end. */
export function describeChoices(names: readonly string[]): string {
  const shown = names.slice(0, MOST).map((name) => (name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name));
  const more = names.length > MOST ? ` or one of ${names.length - MOST} more` : '';
  return shown.length === 0 ? 'one that is there (there is none)' : shown.join(', ') + more;
}
