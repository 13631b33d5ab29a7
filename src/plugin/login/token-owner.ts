import type { TokenOwner } from '../cache/token-metadata.ts';
import { objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

const nameOf = (thing: JsonObject | undefined): string | undefined => textAt(thing, 'name') ?? textAt(thing, 'id');

function describeIn(thing: JsonObject): string {
  const domain = nameOf(objectAt(thing, 'domain'));
  return `${nameOf(thing) ?? '?'}${domain === undefined ? '' : ` (${domain})`}`;
}

/** What a token is good for, the narrowest first: a trust is on a project, too. */
const SCOPES: readonly (readonly [member: string, describe: (scope: JsonObject) => string])[] = [
  ['OS-TRUST:trust', (trust) => `trust ${textAt(trust, 'id') ?? '?'}`],
  ['project', (project) => `project ${describeIn(project)}`],
  ['domain', (domain) => `domain ${nameOf(domain) ?? '?'}`],
  ['system', () => 'the system'],
];

/**
 * Reads whose a token is from what Keystone says of it.
 *
 * @param facts the member `token` of the answer's body
 */
export function readTokenOwner(facts: JsonObject): Pick<TokenOwner, 'user' | 'domain' | 'scope'> {
  const user = objectAt(facts, 'user');
  const scope = SCOPES.flatMap(([member, describe]) => {
    const found = objectAt(facts, member);
    return found === undefined ? [] : [describe(found)];
  })[0];
  return {
    user: nameOf(user) ?? 'nobody it names',
    domain: nameOf(objectAt(user, 'domain')),
    scope: scope ?? 'no scope',
  };
}
