/**
 * Splits a policy into parts with one grant each. Both programs allow what any part allows, so a difference between them is
 * a difference in one of the parts, and only what is wrong with that part can explain it.
 */
import { foldName } from '../../src/webhook/authz/policy/letter-case.ts';

type JsonMembers = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonMembers =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Version 2 replaces version 1 for its kind of request, in both programs. */
const KINDS = [
  { version2: 'resource_permissions', version1: 'resource' },
  { version2: 'nonresource_permissions', version1: 'nonresource' },
] as const;

const GRANTS: readonly string[] = KINDS.flatMap(({ version2, version1 }) => [version2, version1]);

function splitEntry(entry: JsonMembers): readonly JsonMembers[] {
  const members = Object.entries(entry);
  const find = (wanted: string): (typeof members)[number] | undefined =>
    members.find(([name]) => foldName(name) === wanted);
  const rest = Object.fromEntries(members.filter(([name]) => !GRANTS.includes(foldName(name))));
  return KINDS.flatMap(({ version2, version1 }) => {
    const [name2 = '', keys] = find(version2) ?? [];
    if (isObject(keys)) return Object.entries(keys).map(([key, verbs]) => ({ ...rest, [name2]: { [key]: verbs } }));
    const [name1 = '', spec] = find(version1) ?? [];
    return spec === undefined ? [] : [{ ...rest, [name1]: spec }];
  });
}

/** A policy of one entry with one grant. */
export interface PolicyPart {
  readonly text: string;
  /** The number of the entry that it is a part of, counted from 1. */
  readonly entry: number;
}

export function splitPolicy(text: string): readonly PolicyPart[] {
  const entries = JSON.parse(text) as readonly JsonMembers[];
  return entries.flatMap((entry, index) =>
    splitEntry(entry).map((part) => ({ text: JSON.stringify([part]), entry: index + 1 })),
  );
}
