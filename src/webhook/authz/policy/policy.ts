/**
 * An authorization policy: a JSON list of entries, of which any that matches allows. What it does not allow it has no
 * opinion on.
 */
import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { AccessRequest } from '../../review/review.ts';
import type { Compatibilities, Finding } from './finding.ts';
import { InvalidPolicyError } from './policy-members.ts';
import type { Subject } from './subject.ts';
import { compileUsers } from './users.ts';
import { compileMatch, compileNonresource, compileResource } from './version1.ts';
import { compileNonresourcePermissions, compileResourcePermissions } from './version2.ts';

/** One entry. */
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

/** What allows nothing. */
export const EMPTY_POLICY: Policy = { entries: [], findings: [] };

const MEMBERS = ['users', 'resource_permissions', 'nonresource_permissions', 'resource', 'nonresource', 'match'];

type Match<T> = ((request: T) => boolean) | undefined;

/** Version 2 replaces version 1 for its kind of request; what it replaces counts no longer, `match` included. */
function choose<T>(newer: Match<T>, older: Match<T>, match: (subject: Subject) => boolean) {
  return (subject: Subject, request: T): boolean =>
    newer === undefined ? older?.(request) === true && match(subject) : newer(request);
}

function compileEntry(
  definition: JsonObject,
  number: number,
  compatibilities: Compatibilities,
): { readonly entry: PolicyEntry; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const find = (kind: Finding['kind'], message: string): void => {
    findings.push({ entry: number, kind, message });
  };
  const has = (name: string): boolean => Object.hasOwn(definition, name);
  const isFor = compileUsers(definition, compatibilities, find);
  const match = compileMatch(definition, find);
  const resource = choose(
    compileResourcePermissions(definition, compatibilities, find),
    compileResource(definition, find),
    match,
  );
  const path = choose(compileNonresourcePermissions(definition, find), compileNonresource(definition, find), match);
  const unknown = Object.keys(definition).filter((name) => !MEMBERS.includes(name));
  if (unknown.length > 0) find('odd', `"${unknown.join('", "')}" is not understood and left out`);
  if (!MEMBERS.slice(1, -1).some(has)) find('never', 'it has no permissions');
  for (const [newer, older] of [
    ['resource_permissions', 'resource'],
    ['nonresource_permissions', 'nonresource'],
  ] as const) {
    if (has(newer) && has(older)) find('never', `"${older}" does not count beside "${newer}"`);
  }
  const onlyNewer = !has('resource') && !has('nonresource');
  if (has('match') && onlyNewer) find('odd', '"match" does not count with version 2; "users" does');
  return {
    entry: {
      number,
      definition,
      allows: (subject, request) =>
        isFor(subject) && (request.kind === 'resource' ? resource(subject, request) : path(subject, request)),
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
 * Reads a policy.
 *
 * @throws BadPolicy naming the entry; one wrong entry makes all of it void, since half a policy is another policy
 */
export function parsePolicy(text: string, compatibilities: Compatibilities): Policy {
  const compiled = parseList(text).map((source, index) => {
    try {
      if (!isJsonObject(source)) throw new InvalidPolicyError('it is not an object');
      return compileEntry(source, index + 1, compatibilities);
    } catch (error) {
      if (!(error instanceof InvalidPolicyError)) throw error;
      throw new InvalidPolicyError(`entry ${index + 1}: ${error.message}`);
    }
  });
  const findings = compiled.flatMap((one) => one.findings);
  if (compiled.length === 0)
    findings.push({ entry: 0, kind: 'never', message: 'the policy is empty and allows nothing' });
  return { entries: compiled.map(({ entry }) => entry), findings };
}

/** The first entry that allows the request. Users who are not Keystone's are other authorizers' business. */
export function findAllowingEntry(
  { entries }: Policy,
  subject: Subject,
  request: AccessRequest,
): PolicyEntry | undefined {
  if (!subject.isKeystoneUser) return undefined;
  return entries.find((entry) => entry.allows(subject, request));
}
