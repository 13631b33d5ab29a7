/** The scope of a token: what a request asks for, and the user's roles there. */
import { asObject } from './json.ts';
import type { Json } from './json.ts';
import { refuseIncomplete, refuseLogin } from './responses.ts';
import { isSame } from './users.ts';
import type { StandInProject, StandInUser } from './users.ts';

export interface Scope {
  /** The members of the token that describe the scope. */
  readonly scope: Json;
  readonly roleNames: string[];
  readonly tokenLength: number;
}

/** The length of each kind of Fernet token, including its fixed start. */
export const TOKEN_LENGTHS = { unscoped: 162, project: 183, rescoped: 204, application_credential: 204 };

/**
 * Finds the scope that a request asks for, or the user's default project.
 *
 * @throws Refusal if the user has no role there
 */
export function findScope(user: StandInUser, given: unknown): Scope {
  if (given === undefined && user.defaultProjectId !== undefined) {
    return findScope(user, { project: { id: user.defaultProjectId } });
  }
  const scope = asObject(given);
  if (given === undefined || given === 'unscoped' || 'unscoped' in scope) {
    return { scope: {}, roleNames: [], tokenLength: TOKEN_LENGTHS.unscoped };
  }
  const found = user.roles.find((role) => isFor(role, scope));
  if (found === undefined) throw refuseLogin();
  const { names: roleNames } = found;
  const tokenLength = found.system === true ? TOKEN_LENGTHS.unscoped : TOKEN_LENGTHS.project;
  if (found.project !== undefined) return { scope: describeProjectScope(found.project), roleNames, tokenLength };
  if (found.domain !== undefined) return { scope: { domain: found.domain }, roleNames, tokenLength };
  return { scope: { system: { all: true } }, roleNames, tokenLength };
}

export function describeProjectScope({ domain, id, name }: StandInProject): Json {
  return { project: { domain, id, name }, is_domain: false };
}

function isFor(role: StandInUser['roles'][number], scope: Json): boolean {
  if ('project' in scope) {
    const project = asObject(scope['project']);
    if (project['id'] === undefined && project['domain'] === undefined) throw refuseIncomplete('domain', 'project');
    return role.project !== undefined && isSame(role.project, project) && isInDomain(role.project, project);
  }
  if ('domain' in scope) return role.domain !== undefined && isSame(role.domain, asObject(scope['domain']));
  return 'system' in scope && role.system === true;
}

function isInDomain(project: StandInProject, given: Json): boolean {
  return given['id'] !== undefined || isSame(project.domain, asObject(given['domain']));
}
