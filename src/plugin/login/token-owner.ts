import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { TokenOwner } from '../cache/token-metadata.ts';

const nameOf = (entity: JsonObject | undefined): string | undefined => textAt(entity, 'name') ?? textAt(entity, 'id');

function describeWithDomain(entity: JsonObject): string {
  const domain = nameOf(objectAt(entity, 'domain'));
  return `${nameOf(entity) ?? '?'}${domain === undefined ? '' : ` (${domain})`}`;
}

/** The scopes of a token, the narrowest first: a trust has a project, too. */
const SCOPES: readonly (readonly [member: string, describe: (scope: JsonObject) => string])[] = [
  ['OS-TRUST:trust', (trust) => `trust ${textAt(trust, 'id') ?? '?'}`],
  ['project', (project) => `project ${describeWithDomain(project)}`],
  ['domain', (domain) => `domain ${nameOf(domain) ?? '?'}`],
  ['system', () => 'the system'],
];

/**
 * Reads the owner of a token and its scope (Keystone API v3, "token").
 *
 * @param details the member `token` of the response body
 */
export function readTokenOwner(details: JsonObject): Pick<TokenOwner, 'user' | 'domain' | 'scope'> {
  const user = objectAt(details, 'user');
  const [scope = 'no scope'] = SCOPES.flatMap(([member, describe]) => {
    const value = objectAt(details, member);
    return value === undefined ? [] : [describe(value)];
  });
  return { user: nameOf(user) ?? 'an unnamed user', domain: nameOf(objectAt(user, 'domain')), scope };
}
