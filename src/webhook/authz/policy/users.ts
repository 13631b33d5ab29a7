import { isJsonObject } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { Compatibilities, FindingReporter } from './finding.ts';
import { InvalidPolicyError, readMember, readTextListMember } from './policy-members.ts';
import type { Subject } from './subject.ts';

export type SubjectTest = (subject: Subject) => boolean;

/**
 * Whom an entry is for at all: who has every role and any project of `users`. Without `users` that is everybody.
 *
 * @throws BadPolicy where `users` is of a wrong type, since without it the entry would be for everybody
 */
export function compileUsers(entry: JsonObject, compatibilities: Compatibilities, find: FindingReporter): SubjectTest {
  const users = readMember(entry, 'users');
  if (users === undefined) return () => true;
  try {
    if (!isJsonObject(users)) throw new InvalidPolicyError('"users" must be an object with "roles" and "projects"');
    return compileGate(users, find);
  } catch (error) {
    if (!(error instanceof InvalidPolicyError) || !compatibilities.has('wrong-users')) throw error;
    find('fault', `${error.message}; it restricts nobody, as in the Go program`);
    return () => true;
  }
}

function compileGate(users: JsonObject, find: FindingReporter): SubjectTest {
  const roles = readTextListMember(users, 'roles') ?? [];
  const projects = readTextListMember(users, 'projects') ?? [];
  const unknown = Object.keys(users).filter((name) => name !== 'roles' && name !== 'projects');
  if (unknown.length > 0) {
    // A restriction that is not understood must not be left out.
    find('never', `"users" holds "${unknown.join('", "')}", which is not understood`);
    return () => false;
  }
  if (projects.length === 0) {
    find('never', '"users" without "projects" is for nobody');
    return () => false;
  }
  return (subject) =>
    roles.every((role) => subject.roles.has(role)) && projects.some((project) => subject.projects.has(project));
}
