/** Reads a policy without trusting it: a member of a wrong type makes the whole policy invalid. */
import { foldName } from './letter-case.ts';
import { InvalidPolicyError } from './policy-error.ts';
import type { JsonListTree, JsonMember, JsonObjectTree, JsonTree } from './json-tree.ts';

/** The members of an object by their names in the format, and those that the format does not have. */
export interface SortedMembers<Name extends string> {
  readonly known: ReadonlyMap<Name, JsonMember>;
  readonly unknown: readonly JsonMember[];
}

/**
 * Finds the members that the format has, however their names are capitalized: Go's `encoding/json` does so too.
 *
 * @throws InvalidPolicyError if two names are the same but for capitals, because Go merges their values
 */
export function sortMembers<Name extends string>(
  { members }: JsonObjectTree,
  names: readonly Name[],
): SortedMembers<Name> {
  const known = new Map<Name, JsonMember>();
  const unknown: JsonMember[] = [];
  for (const member of members) {
    const folded = foldName(member.name);
    const name = names.find((candidate) => candidate === folded);
    if (name === undefined) unknown.push(member);
    else if (known.has(name)) throw new InvalidPolicyError(`the key "${name}" occurs twice`, member.at);
    else known.set(name, member);
  }
  return { known, unknown };
}

/** Whether a member is absent or null, which Go treats alike. */
export const isAbsent = (member: JsonMember | undefined): boolean =>
  member === undefined || (member.value.kind === 'literal' && member.value.value === null);

const fail = (name: string, expected: string, { at }: JsonTree): never => {
  throw new InvalidPolicyError(`"${name}" must be ${expected}`, at);
};

type ValueReader<T> = (member: JsonMember | undefined) => T | undefined;

/** Makes a reader: undefined for a member that is absent or null, an InvalidPolicyError for one of another type. */
const makeReader =
  <T>(expected: string, read: (value: JsonTree) => T | undefined): ValueReader<T> =>
  (member) => {
    if (member === undefined || isAbsent(member)) return undefined;
    return read(member.value) ?? fail(member.name, expected, member.value);
  };

/** A string of a list, with its offset. */
export interface ListedText {
  readonly text: string;
  readonly at: number;
}

export const readText: ValueReader<ListedText> = makeReader('a string', (value) =>
  value.kind === 'text' ? value : undefined,
);

export const readObject: ValueReader<JsonObjectTree> = makeReader('an object', (value) =>
  value.kind === 'object' ? value : undefined,
);

export const readList: ValueReader<JsonListTree> = makeReader('a list of objects', (value) =>
  value.kind === 'list' ? value : undefined,
);

/** The strings of a list; an empty list if the member is absent or null. */
export function readTexts(member: JsonMember | undefined): readonly ListedText[] {
  return readTextList(member) ?? [];
}

const readTextList: ValueReader<readonly ListedText[]> = makeReader('a list of strings', (value) => {
  const items = value.kind === 'list' ? value.items : undefined;
  const texts = items?.filter((item) => item.kind === 'text');
  return texts?.length === items?.length ? texts : undefined;
});
