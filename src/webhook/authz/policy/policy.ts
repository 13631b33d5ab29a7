/** An authorization policy: a JSON list of entries. A request is allowed if any entry matches it. */
import type { JsonObject } from '../../../shared/base/json.ts';
import type { AccessRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import { voidsEntry } from './differences.ts';
import { indexEntries } from './entry-index.ts';
import type { IndexedEntry, Scope } from './entry-index.ts';
import type { Finding, FindingReporter } from './finding.ts';
import { parseJsonTree, toPlainObject } from './json-tree.ts';
import type { JsonObjectTree, JsonTree } from './json-tree.ts';
import type { Audience, Permissions } from './permissions.ts';
import { InvalidPolicyError } from './policy-error.ts';
import { isAbsent, sortMembers } from './policy-members.ts';
import type { SortedMembers } from './policy-members.ts';
import { describePosition, makePositionFinder } from './position.ts';
import type { Position } from './position.ts';
import type { Subject } from './subject.ts';
import { reportUnknownMembers } from './unknown-members.ts';
import { compileUsers } from './users.ts';
import { compileMatch, compileNonresource, compileResource } from './version1.ts';
import { compileNonresourcePermissions, compileResourcePermissions } from './version2.ts';

export interface PolicyEntry extends IndexedEntry {
  readonly definition: JsonObject;
}

export interface Policy {
  readonly entries: readonly PolicyEntry[];
  readonly findings: readonly Finding[];
  /** The first entry that allows the request of a user of Keystone. */
  readonly find: (subject: Subject, request: AccessRequest) => PolicyEntry | undefined;
}

/** Allows nothing. */
export const EMPTY_POLICY: Policy = { entries: [], findings: [], find: () => undefined };

const PERMISSIONS = ['resource_permissions', 'nonresource_permissions', 'resource', 'nonresource'] as const;
const MEMBERS = ['users', ...PERMISSIONS, 'match'] as const;

type EntryMembers = SortedMembers<(typeof MEMBERS)[number]>;

/** What an entry allows of one kind of request, and to whom. */
interface Grant<T> {
  readonly allows: (subject: Subject, request: T) => boolean;
  readonly scope: Scope;
}

/** Version 2 replaces version 1 for its kind of request; `match` belongs to version 1. */
function combineVersions<T>(
  version2: Permissions<T> | undefined,
  version1: Permissions<T> | undefined,
  users: Audience,
  match: Audience,
): Grant<T> | undefined {
  if (version2 !== undefined) {
    return {
      allows: (subject, request) => users.includes(subject) && version2.allows(request),
      scope: { projects: users.projects, namespaces: version2.namespaces },
    };
  }
  return (
    version1 && {
      allows: (subject, request) => users.includes(subject) && version1.allows(request) && match.includes(subject),
      scope: { projects: users.projects ?? match.projects, namespaces: version1.namespaces },
    }
  );
}

function findMemberProblems({ known, unknown }: EntryMembers, at: number, report: FindingReporter): void {
  reportUnknownMembers(unknown, MEMBERS, report);
  if (PERMISSIONS.every((name) => isAbsent(known.get(name)))) report('never', 'it has no permissions', at);
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

const IGNORE: FindingReporter = () => undefined;

const NO_GRANTS = { resource: undefined, path: undefined };

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
  const report: FindingReporter = (kind, message, at) => {
    const place = { entry: number, message, ...findPosition(at) };
    if (kind === 'never' || kind === 'odd') {
      findings.push({ ...place, kind });
      return;
    }
    findings.push({ ...place, kind: 'fault', difference: kind });
  };
  const members = sortMembers(tree, MEMBERS);
  const { known } = members;
  // What is wrong with a part that has no effect is not a problem, unless it has a wrong type.
  const isReplacedBy = (version2: (typeof PERMISSIONS)[number]): boolean => !isAbsent(known.get(version2));
  const users = compileUsers(known.get('users'), compatibilities, report);
  const match = compileMatch(known.get('match'), report);
  const resourcePermissions = compileResourcePermissions(known.get('resource_permissions'), compatibilities, report);
  const resource = compileResource(known.get('resource'), isReplacedBy('resource_permissions') ? IGNORE : report);
  const pathPermissions = compileNonresourcePermissions(known.get('nonresource_permissions'), report);
  const path = compileNonresource(known.get('nonresource'), isReplacedBy('nonresource_permissions') ? IGNORE : report);
  const resourceGrant = combineVersions(resourcePermissions, resource, users, match);
  const pathGrant = combineVersions(pathPermissions, path, users, match);
  findMemberProblems(members, tree.at, report);
  const isSet = (test: unknown): boolean => test !== undefined;
  const hasVersion1ForOthers = [resource, path].some(isSet) && !match.needsKeystoneUser;
  if (isAbsent(known.get('users')) && ([resourcePermissions, pathPermissions].some(isSet) || hasVersion1ForOthers)) {
    const others = 'others who have "extra", such as service accounts';
    const problem = `without "users", it is for users of Keystone only; in the Go program also for ${others}`;
    report('without-users', problem, tree.at);
  }
  const isVoid = findings.some(({ difference }) => difference !== undefined && voidsEntry(difference));
  const grants = isVoid ? NO_GRANTS : { resource: resourceGrant, path: pathGrant };
  return {
    entry: {
      number,
      definition: toPlainObject(tree),
      allows: (subject, request) =>
        (request.kind === 'resource'
          ? grants.resource?.allows(subject, request)
          : grants.path?.allows(subject, request)) === true,
      scopes: { resource: grants.resource?.scope, path: grants.path?.scope },
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
  const entries = compiled.map(({ entry }) => entry);
  return { entries, findings, find: indexEntries(entries) };
}

/** Describes why a text is not a policy, with the position of the problem. */
export function describeInvalidPolicy(text: string, { at, message }: InvalidPolicyError): string {
  return `${message} (${describePosition(makePositionFinder(text)(at))})`;
}

/** Finds the first entry that allows the request; none does for users that this webhook did not authenticate. */
export function findAllowingEntry(policy: Policy, subject: Subject, request: AccessRequest): PolicyEntry | undefined {
  return subject.isKeystoneUser ? policy.find(subject, request) : undefined;
}
