import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { nameAt } from '../../shared/keystone/token.ts';

/** A user, project or domain of Keystone, with the domain that its name is unique in. */
export interface KeystoneEntity {
  readonly id: string | null;
  readonly name: string | null;
  readonly domain?: { readonly id: string | null; readonly name: string | null };
}

/** Reads an entity from a response of Keystone; undefined if the response has none. */
export function readEntity(value: JsonObject | undefined): KeystoneEntity | undefined {
  if (value === undefined) return undefined;
  const domain = objectAt(value, 'domain');
  return {
    id: textAt(value, 'id') ?? null,
    name: nameAt(value) ?? null,
    ...(domain === undefined ? {} : { domain: { id: textAt(domain, 'id') ?? null, name: nameAt(domain) ?? null } }),
  };
}

/**
 * Lists the names of entities, sorted, since Keystone's order differs between responses. Each name is there once: Rust
 * Keystone repeats a role that is assigned, and also follows from another one.
 */
export const listEntityNames = (body: JsonObject, member: string): string[] => {
  const names = listAt(body, member).flatMap((entry) => (isJsonObject(entry) ? (nameAt(entry) ?? []) : []));
  return [...new Set(names)].toSorted();
};

/** Describes an entity in a message: "demo (4f2c, domain Default)". */
export function describeEntity(entity: KeystoneEntity | undefined): string | undefined {
  if (entity === undefined) return undefined;
  const { id, name, domain } = entity;
  const domainText = domain === undefined ? '' : `, domain ${domain.name ?? domain.id ?? '?'}`;
  return name === null ? `${id ?? '?'} (without a name${domainText})` : `${name} (${id ?? '?'}${domainText})`;
}

/** The scope of a token. */
export interface TokenScope {
  readonly kind: 'system' | 'domain' | 'project' | 'none';
  /** The domain or the project. */
  readonly entity?: KeystoneEntity | undefined;
}

/** Reads the scope of a token (Keystone API v3, "Validate and show information for token", the member `token`). */
export function readTokenScope(tokenDetails: JsonObject): TokenScope {
  if (objectAt(tokenDetails, 'system') !== undefined) return { kind: 'system' };
  const kind = (['domain', 'project'] as const).find((member) => objectAt(tokenDetails, member) !== undefined);
  return kind === undefined ? { kind: 'none' } : { kind, entity: readEntity(objectAt(tokenDetails, kind)) };
}

/** Describes the scope of a token; undefined if it is a project. */
export function describeTokenScope(tokenDetails: JsonObject): string | undefined {
  const { kind, entity } = readTokenScope(tokenDetails);
  switch (kind) {
    case 'system':
      return 'the whole system';
    case 'domain':
      return `domain ${describeEntity(entity) ?? ''}`;
    case 'project':
      return undefined;
    case 'none':
      return 'nothing: the token has no scope';
  }
}
