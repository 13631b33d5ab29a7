/** What gives a user the rights of others, or rights that nobody has given them. */
import type { SubresourceTest } from './connections.ts';

const POWERS: readonly (readonly [verb: string, resource: string, isNamespaced: boolean])[] = [
  ['impersonate', 'users', false],
  ['impersonate', 'groups', false],
  ['impersonate', 'serviceaccounts', true],
  ['escalate', 'clusterroles', false],
  ['escalate', 'roles', true],
];

/**
 * Reports that an exclusion excludes nothing for long, because every verb is allowed on the rest.
 *
 * @param where the part of the entry, for the message
 */
export function reportPowers(
  where: string,
  verbs: ReadonlySet<string>,
  covers: SubresourceTest,
  report: (kind: 'odd', message: string) => void,
): void {
  if (!verbs.has('*')) return;
  const powers = POWERS.filter(([, resource, isNamespaced]) => covers(resource, '', isNamespaced));
  if (powers.length === 0) return;
  const list = powers.map(([verb, resource]) => `${verb} on ${resource}`).join(', ');
  report('odd', `${where} with "*" allows ${list}, which can give what it excludes; list the verbs`);
}
