/** An authorization policy: a JSON list of entries. A request is allowed if any entry matches it. */
import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { AccessRequest } from '../../review/access-request.ts';
import type { Compatibilities } from './compatibility.ts';
import type { Finding, FindingReporter } from './finding.ts';
import { InvalidPolicyError } from './policy-members.ts';
import type { Subject } from './subject.ts';
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

const MEMBERS = ['users', 'resource_permissions', 'nonresource_permissions', 'resource', 'nonresource', 'match'];

type RequestTest<T> = ((request: T) => boolean) | undefined;

/** Version 2 replaces version 1 for its kind of request; `match` belongs to version 1. */
function combineVersions<T>(version2: RequestTest<T>, version1: RequestTest<T>, match: SubjectTest) {
  return (subject: Subject, request: T): boolean =>
    version2 === undefined ? version1?.(request) === true && match(subject) : version2(request);
}

function findMemberProblems(definition: JsonObject, report: FindingReporter): void {
  const has = (name: string): boolean => Object.hasOwn(definition, name);
  const unknown = Object.keys(definition).filter((name) => !MEMBERS.includes(name));
  if (unknown.length > 0) report('odd', `"${unknown.join('", "')}" is unknown and ignored`);
  if (!MEMBERS.slice(1, -1).some(has)) report('never', 'it has no permissions');
  for (const [version2, version1] of [
    ['resource_permissions', 'resource'],
    ['nonresource_permissions', 'nonresource'],
  ] as const) {
    if (has(version2) && has(version1)) report('never', `"${version1}" is ignored because "${version2}" is set`);
  }
  const isVersion2Only = !has('resource') && !has('nonresource');
  if (has('match') && isVersion2Only) report('odd', '"match" is ignored in version 2; use "users"');
}

function compileEntry(
  definition: JsonObject,
  number: number,
  compatibilities: Compatibilities,
): { readonly entry: PolicyEntry; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const report: FindingReporter = (kind, message) => {
    findings.push({ entry: number, kind, message });
  };
  const isFor = compileUsers(definition, compatibilities, report);
  const match = compileMatch(definition, report);
  const allowsResource = combineVersions(
    compileResourcePermissions(definition, compatibilities, report),
    compileResource(definition, report),
    match,
  );
  const allowsPath = combineVersions(
    compileNonresourcePermissions(definition, report),
    compileNonresource(definition, report),
    match,
  );
  findMemberProblems(definition, report);
  return {
    entry: {
      number,
      definition,
      allows: (subject, request) =>
        isFor(subject) &&
        (request.kind === 'resource' ? allowsResource(subject, request) : allowsPath(subject, request)),
    },
    findings,
  };
}

function parseList(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidPolicyError('it is not JSON');
  }
  if (!Array.isArray(value)) throw new InvalidPolicyError('it is not a JSON list of entries');
  return value;
}

/**
 * Parses a policy.
 *
 * @throws InvalidPolicyError naming the entry; one invalid entry makes the whole policy invalid, because the other
 * entries alone are another policy
 */
export function parsePolicy(text: string, compatibilities: Compatibilities): Policy {
  const compiled = parseList(text).map((definition, index) => {
    try {
      if (!isJsonObject(definition)) throw new InvalidPolicyError('it is not an object');
      return compileEntry(definition, index + 1, compatibilities);
    } catch (error) {
      if (!(error instanceof InvalidPolicyError)) throw error;
      throw new InvalidPolicyError(`entry ${index + 1}: ${error.message}`);
    }
  });
  const findings = compiled.flatMap((result) => result.findings);
  if (compiled.length === 0)
    findings.push({ entry: 0, kind: 'never', message: 'the policy is empty and allows nothing' });
  return { entries: compiled.map(({ entry }) => entry), findings };
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
