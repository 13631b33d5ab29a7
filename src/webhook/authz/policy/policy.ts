/** An authorization policy: a JSON list of entries. A request is allowed if any entry matches it. */
import type { JsonObject } from '../../../shared/base/json.ts';
import type { AccessRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import type { Finding, FindingReporter } from './finding.ts';
import { parseJsonTree, toPlainObject } from './json-tree.ts';
import type { JsonObjectTree, JsonTree } from './json-tree.ts';
import { InvalidPolicyError } from './policy-error.ts';
import { isAbsent, sortMembers } from './policy-members.ts';
import type { SortedMembers } from './policy-members.ts';
import { describePosition, makePositionFinder } from './position.ts';
import type { Position } from './position.ts';
import type { Subject } from './subject.ts';
import { reportUnknownMembers } from './unknown-members.ts';
import { compileUsers } from './users.ts';
import type { SubjectTest } from './users.ts';
import { compileMatch, compileNonresource, compileResource } from './version1.ts';
import { compileNonresourcePermissions, compileResourcePermissions } from './version2.ts';

export interface PolicyEntry {
  /** Counted from 1. */
  readonly number: number;
  readonly definition: JsonObject;
  readonly allows: (subject: Subject, request: AccessRequest) => boolean;
}

export interface Policy {
  readonly entries: readonly PolicyEntry[];
  readonly findings: readonly Finding[];
}

/** Allows nothing. */
export const EMPTY_POLICY: Policy = { entries: [], findings: [] };

const PERMISSIONS = ['resource_permissions', 'nonresource_permissions', 'resource', 'nonresource'] as const;
const MEMBERS = ['users', ...PERMISSIONS, 'match'] as const;

type EntryMembers = SortedMembers<(typeof MEMBERS)[number]>;

type RequestTest<T> = ((request: T) => boolean) | undefined;

/** Version 2 replaces version 1 for its kind of request; `match` belongs to version 1. */
function combineVersions<T>(version2: RequestTest<T>, version1: RequestTest<T>, match: SubjectTest) {
  return (subject: Subject, request: T): boolean =>
    version2 === undefined ? version1?.(request) === true && match(subject) : version2(request);
}

function findMemberProblems({ known, unknown }: EntryMembers, at: number, report: FindingReporter): void {
  reportUnknownMembers(unknown, MEMBERS, report);
  if (!PERMISSIONS.some((name) => known.has(name))) report('never', 'it has no permissions', at);
  for (const [version2, version1] of [
    ['resource_permissions', 'resource'],
    ['nonresource_permissions', 'nonresource'],
  ] as const) {
    const replaced = known.get(version1);
    if (replaced !== undefined && !isAbsent(known.get(version2))) {
      report('never', `"${version1}" is ignored because "${version2}" is set`, replaced.at);
    }
  }
  const match = known.get('match');
  if (match !== undefined && !isAbsent(match) && !known.has('resource') && !known.has('nonresource')) {
    report('odd', '"match" is ignored in version 2; use "users"', match.at);
  }
}

interface CompiledEntry {
  readonly entry: PolicyEntry;
  readonly findings: readonly Finding[];
}

function compileEntry(
  tree: JsonObjectTree,
  number: number,
  compatibilities: Compatibilities,
  findPosition: (at: number) => Position,
): CompiledEntry {
  const findings: Finding[] = [];
  let isVoid = false;
  const report: FindingReporter = (kind, message, at) => {
    isVoid ||= kind === 'void';
    findings.push({ entry: number, kind: kind === 'void' ? 'fault' : kind, message, ...findPosition(at) });
  };
  const members = sortMembers(tree, MEMBERS);
  const { known } = members;
  const isFor = compileUsers(known.get('users'), compatibilities, report);
  const match = compileMatch(known.get('match'), report);
  const resourcePermissions = compileResourcePermissions(known.get('resource_permissions'), compatibilities, report);
  const resource = compileResource(known.get('resource'), report);
  const pathPermissions = compileNonresourcePermissions(known.get('nonresource_permissions'), report);
  const path = compileNonresource(known.get('nonresource'), report);
  const allowsResource = combineVersions(resourcePermissions, resource, match.test);
  const allowsPath = combineVersions(pathPermissions, path, match.test);
  findMemberProblems(members, tree.at, report);
  const isSet = (test: unknown): boolean => test !== undefined;
  const hasVersion1ForOthers = [resource, path].some(isSet) && !match.needsKeystoneUser;
  if (isAbsent(known.get('users')) && ([resourcePermissions, pathPermissions].some(isSet) || hasVersion1ForOthers)) {
    const others = 'others who have "extra", such as service accounts';
    report('fault', `without "users", it is for users of Keystone only; in the Go program also for ${others}`, tree.at);
  }
  return {
    entry: {
      number,
      definition: toPlainObject(tree),
      allows: (subject, request) =>
        !isVoid &&
        isFor(subject) &&
        (request.kind === 'resource' ? allowsResource(subject, request) : allowsPath(subject, request)),
    },
    findings,
  };
}

function parseEntry(
  tree: JsonTree,
  index: number,
  compatibilities: Compatibilities,
  findPosition: (at: number) => Position,
): CompiledEntry {
  try {
    if (tree.kind !== 'object') throw new InvalidPolicyError('it is not an object', tree.at);
    return compileEntry(tree, index + 1, compatibilities, findPosition);
  } catch (error) {
    if (!(error instanceof InvalidPolicyError)) throw error;
    throw new InvalidPolicyError(`entry ${index + 1}: ${error.message}`, error.at);
  }
}

function parseList(text: string): readonly JsonTree[] {
  const tree = parseJsonTree(text);
  if (tree.kind !== 'list') throw new InvalidPolicyError('it is not a JSON list of entries', tree.at);
  return tree.items;
}

/**
 * Parses a policy.
 *
 * @throws InvalidPolicyError naming the entry; one invalid entry makes the whole policy invalid, because the other
 * entries alone are another policy
 */
export function parsePolicy(text: string, compatibilities: Compatibilities): Policy {
  const findPosition = makePositionFinder(text);
  const compiled = parseList(text).map((tree, index) => parseEntry(tree, index, compatibilities, findPosition));
  const findings = compiled.flatMap((result) => result.findings);
  if (compiled.length === 0) {
    const message = 'the policy is empty and allows nothing';
    findings.push({ entry: 0, kind: 'never', message, ...findPosition(0) });
  }
  return { entries: compiled.map(({ entry }) => entry), findings };
}

/** Describes why a text is not a policy, with the position of the problem. */
export function describeInvalidPolicy(text: string, { at, message }: InvalidPolicyError): string {
  return `${message} (${describePosition(makePositionFinder(text)(at))})`;
}

/** Finds the first entry that allows the request; none does for users that this webhook did not authenticate. */
export function findAllowingEntry(
  { entries }: Policy,
  subject: Subject,
  request: AccessRequest,
): PolicyEntry | undefined {
  if (!subject.isKeystoneUser) return undefined;
  return entries.find((entry) => entry.allows(subject, request));
}
