import { memberAt } from '../../../shared/base/json-members.ts';
import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { Compatibilities } from './compatibility.ts';
import type { FindingReporter } from './finding.ts';
import { InvalidPolicyError, policyMembers } from './policy-members.ts';
import type { Subject } from './subject.ts';

export type SubjectTest = (subject: Subject) => boolean;

/**
 * Compiles `users`: matches subjects that have every role and any project that it lists. Without `users` an entry is
 * for every subject.
 *
 * @throws InvalidPolicyError if `users` has a wrong type, because without it the entry would be for every subject
 */
export function compileUsers(
  entry: JsonObject,
  compatibilities: Compatibilities,
  report: FindingReporter,
): SubjectTest {
  const users = memberAt(entry, 'users');
  if (users === undefined) return () => true;
  try {
    if (!isJsonObject(users)) throw new InvalidPolicyError('"users" must be an object with "roles" and "projects"');
    return compileRestriction(users, report);
  } catch (error) {
    if (!(error instanceof InvalidPolicyError) || !compatibilities.has('wrong-users')) throw error;
    report('fault', `${error.message}; it restricts no one, as in the Go program`);
    return () => true;
  }
}

function compileRestriction(users: JsonObject, report: FindingReporter): SubjectTest {
  const roles = policyMembers.textList(users, 'roles') ?? [];
  const projects = policyMembers.textList(users, 'projects') ?? [];
  const unknown = Object.keys(users).filter((name) => name !== 'roles' && name !== 'projects');
  if (unknown.length > 0) {
    // To ignore an unknown restriction would grant too much.
    report('never', `"users" contains "${unknown.join('", "')}", which is unknown`);
    return () => false;
  }
  if (projects.length === 0) {
    report('never', '"users" without "projects" matches no user');
    return () => false;
  }
  return (subject) =>
    roles.every((role) => subject.roles.has(role)) && projects.some((project) => subject.projects.has(project));
}
