/** Whether a token is the one that was asked for: nothing may enter the cache under another's key. */
import type { Reference, Scope } from './scope.ts';
import { isJsonObject, objectAt, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';

/** Who and what a request names; what is absent is not compared. */
export interface ExpectedToken {
  readonly user?: Reference | undefined;
  readonly userDomain?: Reference | undefined;
  readonly applicationCredential?: Reference | undefined;
  /** A Kerberos principal, which the user must be named after: with its realm or without. */
  readonly principal?: string | undefined;
  readonly scope?: Scope;
}

/** A part of the token that is not as asked. */
export interface TokenMismatch {
  /** In the words of a message: "project". */
  readonly part: string;
  /** False where only names differ, which some databases take for equal. */
  readonly isCertain: boolean;
}

/** Databases and directories compare names without regard to case. */
const fold = (name: string): string => name.normalize('NFKC').toLowerCase();

function compare(part: string, asked: Reference | undefined, granted: JsonObject | undefined): TokenMismatch[] {
  if (asked === undefined) return [];
  if (granted === undefined) return [{ part, isCertain: true }];
  if ('id' in asked) return textAt(granted, 'id') === asked.id ? [] : [{ part, isCertain: true }];
  const name = textAt(granted, 'name');
  return name !== undefined && fold(name) === fold(asked.name) ? [] : [{ part, isCertain: false }];
}

function comparePrincipal(principal: string | undefined, user: JsonObject | undefined): TokenMismatch[] {
  if (principal === undefined) return [];
  const name = fold(textAt(user, 'name') ?? '');
  return [principal, principal.replace(/@[^@]*$/, '')].some((one) => fold(one) === name)
    ? []
    : [{ part: 'user', isCertain: false }];
}

function compareScope(scope: Scope, token: JsonObject): TokenMismatch[] {
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
      return isJsonObject(token['system']) ? [] : [{ part: 'system', isCertain: true }];
    case 'trust':
      return compare('trust', scope, objectAt(token, 'OS-TRUST:trust'));
    case 'unscoped':
      return ['project', 'domain', 'system'].some((kind) => isJsonObject(token[kind]))
        ? [{ part: 'scope', isCertain: true }]
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
export function findTokenMismatch(
  { user, userDomain, applicationCredential, principal, scope }: ExpectedToken,
  token: JsonObject,
): TokenMismatch | undefined {
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
  return found.find(({ isCertain }) => isCertain) ?? found[0];
}
