import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

/** A thing of Keystone's with the domain that it is named in. */
export interface KeystoneEntity {
  readonly id: string | null;
  readonly name: string | null;
  readonly domain?: { readonly id: string | null; readonly name: string | null };
}

/** Reads one, where there is one. */
export function readEntity(value: JsonObject | undefined): KeystoneEntity | undefined {
  if (value === undefined) return undefined;
  const domain = objectAt(value, 'domain');
  return {
    id: textAt(value, 'id') ?? null,
    name: textAt(value, 'name') ?? null,
    ...(domain === undefined
      ? {}
      : { domain: { id: textAt(domain, 'id') ?? null, name: textAt(domain, 'name') ?? null } }),
  };
}

/** The names in a list of such things, sorted: Keystone's order changes from answer to answer. */
export const listEntityNames = (facts: JsonObject, list: string): string[] =>
  listAt(facts, list)
    .flatMap((entry) => (isJsonObject(entry) ? (textAt(entry, 'name') ?? []) : []))
    .toSorted();

/** Says one in words: "demo (4f2c, domain Default)". */
export function describeEntity(named: KeystoneEntity | undefined): string | undefined {
  if (named === undefined) return undefined;
  const { id, name, domain } = named;
  const where = domain === undefined ? '' : `, domain ${domain.name ?? domain.id ?? '?'}`;
  return `${name ?? '?'} (${id ?? '?'}${where})`;
}

/** What a token is good for, where that is no project. */
export function describeTokenScope(facts: JsonObject): string | undefined {
  if (objectAt(facts, 'system') !== undefined) return 'the whole system';
  const domain = readEntity(objectAt(facts, 'domain'));
  if (domain !== undefined) return `domain ${describeEntity(domain) ?? ''}`;
  return objectAt(facts, 'project') === undefined ? 'nothing: the token has no scope' : undefined;
}
