/** Compares a token with the request: no token may be cached under the key of another one. */
import type { Reference, Scope } from './scope.ts';
import { isJsonObject, objectAt, textAt } from '../base/json.ts';
import type { JsonObject } from '../base/json.ts';

/** The user and the scope of a request; absent members are not compared. */
export interface ExpectedToken {
  readonly user?: Reference | undefined;
  readonly userDomain?: Reference | undefined;
  readonly applicationCredential?: Reference | undefined;
  /** A Kerberos principal: the user's name must equal it, with or without the realm. */
  readonly principal?: string | undefined;
  readonly scope?: Scope;
}

/** A part of the token that differs from the request. */
export interface TokenMismatch {
  /** As text for messages: "project". */
  readonly part: string;
  /** False if only names differ: some databases treat different names as equal. */
  readonly isCertain: boolean;
  /** Set if Keystone does not say the name, so that nothing is known to differ. */
  readonly unknown?: { readonly id: string | undefined; readonly setting: string };
}

/** The settings whose values are compared instead of names, by part. */
const ID_SETTINGS: Readonly<Record<string, string>> = {
  user: 'OS_USER_ID',
  "user's domain": 'OS_USER_DOMAIN_ID',
  project: 'OS_PROJECT_ID',
  "project's domain": 'OS_PROJECT_DOMAIN_ID',
  domain: 'OS_DOMAIN_ID',
  'application credential': 'OS_APPLICATION_CREDENTIAL_ID',
};

function compareName(
  part: string,
  isExpected: (name: string) => boolean,
  granted: JsonObject | undefined,
): TokenMismatch[] {
  const name = textAt(granted, 'name');
  if (name === '') {
    return [{ part, isCertain: false, unknown: { id: textAt(granted, 'id'), setting: ID_SETTINGS[part] ?? 'its ID' } }];
  }
  return name !== undefined && isExpected(name) ? [] : [{ part, isCertain: false }];
}

/** Databases and directories ignore case in names. */
const fold = (name: string): string => name.normalize('NFKC').toLowerCase();

function compare(part: string, expected: Reference | undefined, granted: JsonObject | undefined): TokenMismatch[] {
  if (expected === undefined) return [];
  if (granted === undefined) return [{ part, isCertain: true }];
  if ('id' in expected) return textAt(granted, 'id') === expected.id ? [] : [{ part, isCertain: true }];
  return compareName(part, (name) => fold(name) === fold(expected.name), granted);
}

function comparePrincipal(principal: string | undefined, user: JsonObject | undefined): TokenMismatch[] {
  if (principal === undefined) return [];
  const candidates = [principal, principal.replace(/@[^@]*$/, '')].map(fold);
  return compareName('user', (name) => candidates.includes(fold(name)), user);
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
 * Finds the worst difference between a request and its token.
 *
 * @param token the member `token` of the response's body
 * @returns undefined if there is none
 */
export function findTokenMismatch(
  { user, userDomain, applicationCredential, principal, scope }: ExpectedToken,
  token: JsonObject,
): TokenMismatch | undefined {
  // A trust may impersonate its trustor.
  const expectedUser = scope?.kind === 'trust' ? undefined : user;
  const granted = objectAt(token, 'user');
  const mismatches = [
    ...compare('user', expectedUser, granted),
    ...(expectedUser === undefined || 'id' in expectedUser
      ? []
      : compare("user's domain", userDomain, objectAt(granted, 'domain'))),
    ...comparePrincipal(principal, granted),
    ...compare('application credential', applicationCredential, objectAt(token, 'application_credential')),
    ...(scope === undefined ? [] : compareScope(scope, token)),
  ];
  return (
    mismatches.find(({ isCertain }) => isCertain) ??
    mismatches.find(({ unknown }) => unknown === undefined) ??
    mismatches[0]
  );
}
