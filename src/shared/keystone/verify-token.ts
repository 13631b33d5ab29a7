/** Whether a token is the one that was asked for: nothing may enter the cache under another's key. */
import type { Reference, Scope } from './scope.ts';
import { isJsonObject, objectAt, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';

/** Who and what a request names; what is absent is not compared. */
export interface Asked {
  readonly user?: Reference | undefined;
  readonly userDomain?: Reference | undefined;
  readonly applicationCredential?: Reference | undefined;
  /** A Kerberos principal, which the user must be named after: with its realm or without. */
  readonly principal?: string | undefined;
  readonly scope?: Scope;
}

/** A part of the token that is not as asked. */
export interface Mismatch {
  /** In the words of a message: "project". */
  readonly what: string;
  /** False where only names differ, which some databases take for equal. */
  readonly certain: boolean;
}

/** Databases and directories compare names without regard to case. */
const fold = (name: string): string => name.normalize('NFKC').toLowerCase();

function compare(what: string, asked: Reference | undefined, granted: JsonObject | undefined): Mismatch[] {
  if (asked === undefined) return [];
  if (granted === undefined) return [{ what, certain: true }];
  if ('id' in asked) return textAt(granted, 'id') === asked.id ? [] : [{ what, certain: true }];
  const name = textAt(granted, 'name');
  return name !== undefined && fold(name) === fold(asked.name) ? [] : [{ what, certain: false }];
}

function comparePrincipal(principal: string | undefined, user: JsonObject | undefined): Mismatch[] {
  if (principal === undefined) return [];
  const name = fold(textAt(user, 'name') ?? '');
  return [principal, principal.replace(/@[^@]*$/, '')].some((one) => fold(one) === name)
    ? []
    : [{ what: 'user', certain: false }];
}

function compareScope(scope: Scope, token: JsonObject): Mismatch[] {
  const project = objectAt(token, 'project');
  switch (scope.kind) {
    case 'project':
      return [
        ...compare('project', scope, project),
        ...('domain' in scope ? compare("project's domain", scope.domain, objectAt(project, 'domain')) : []),
      ];
    case 'domain':
      return compare('domain', scope.domain, objectAt(token, 'domain'));
    case 'system':
      return isJsonObject(token['system']) ? [] : [{ what: 'system', certain: true }];
    case 'trust':
      return compare('trust', scope, objectAt(token, 'OS-TRUST:trust'));
    case 'unscoped':
      return ['project', 'domain', 'system'].some((kind) => isJsonObject(token[kind]))
        ? [{ what: 'scope', certain: true }]
        : [];
    case 'default':
      return [];
  }
}

/**
 * Compares what was asked for with what the token says; the worst difference, or undefined.
 *
 * @param token the member `token` of the answer's body
 */
export function findMismatch(
  { user, userDomain, applicationCredential, principal, scope }: Asked,
  token: JsonObject,
): Mismatch | undefined {
  // A trust may act as the one who gave it.
  const person = scope?.kind === 'trust' ? undefined : user;
  const granted = objectAt(token, 'user');
  const found = [
    ...compare('user', person, granted),
    ...(person === undefined || 'id' in person
      ? []
      : compare("user's domain", userDomain, objectAt(granted, 'domain'))),
    ...comparePrincipal(principal, granted),
    ...compare('application credential', applicationCredential, objectAt(token, 'application_credential')),
    ...(scope === undefined ? [] : compareScope(scope, token)),
  ];
  return found.find(({ certain }) => certain) ?? found[0];
}
