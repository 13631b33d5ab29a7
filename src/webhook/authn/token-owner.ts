/**
 * Who a Keystone token belongs to, as Keystone describes it (Identity API v3, "Validate and show information for
 * token").
 */
import { KeystoneProtocolError } from '../../shared/base/errors.ts';
import { isJsonObject, listAt, objectAt, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';

export interface KeystoneEntity {
  readonly id: string;
  readonly name: string;
}

/** A Keystone group; Keystone sends only the ID of its domain. */
export interface KeystoneGroup extends KeystoneEntity {
  readonly domainId: string;
}

/** The owner of a project-scoped token. */
export interface TokenOwner {
  readonly user: KeystoneEntity;
  readonly userDomain: KeystoneEntity;
  readonly project: KeystoneEntity;
  readonly projectDomain: KeystoneEntity;
  readonly roles: readonly string[];
}

function readEntity(value: JsonObject | undefined): KeystoneEntity | undefined {
  const id = textAt(value, 'id');
  const name = textAt(value, 'name');
  return id === undefined || id === '' || name === undefined || name === '' ? undefined : { id, name };
}

/**
 * Reads the owner of a token.
 *
 * @param details the member `token` of Keystone's response
 * @returns the reason as text if the cluster cannot use the token, for example because its scope is not a project
 * @throws KeystoneProtocolError if there is no owner
 */
export function readTokenOwner(details: JsonObject): TokenOwner | string {
  const user = readEntity(objectAt(details, 'user'));
  const userDomain = readEntity(objectAt(objectAt(details, 'user'), 'domain'));
  if (user === undefined || userDomain === undefined) {
    throw new KeystoneProtocolError('protocol', 'Keystone does not say who owns the token');
  }
  const project = readEntity(objectAt(details, 'project'));
  const projectDomain = readEntity(objectAt(objectAt(details, 'project'), 'domain'));
  if (project === undefined || projectDomain === undefined) {
    if (objectAt(details, 'domain') !== undefined) return 'the token is for a domain; it must be for a project';
    if (objectAt(details, 'system') !== undefined) return 'the token is for the system; it must be for a project';
    // Some versions of Rust Keystone send empty names.
    if (objectAt(details, 'project') !== undefined) {
      return "Keystone does not tell the name and the domain of the token's project";
    }
    return 'the token has no scope; it must be for a project';
  }
  // Older Keystones describe a domain-scoped token as one for a project that acts as a domain.
  if (details['is_domain'] === true) return 'the token is for a domain; it must be for a project';
  const roles = listAt(details, 'roles').flatMap((role) => (isJsonObject(role) ? (textAt(role, 'name') ?? []) : []));
  return { user, userDomain, project, projectDomain, roles };
}

/** Whose groups Keystone lists, if it says that: Rust Keystone does not. */
const LISTED_USER = /\/users\/([^/?#]+)\/groups(?:[?#]|$)/;

/** Whether a response is not about the groups of this user. */
function isAboutOthers(body: JsonObject | undefined, userId: string): boolean {
  const listed = LISTED_USER.exec(textAt(objectAt(body, 'links'), 'self') ?? '')?.[1];
  const isOtherUser = listed !== undefined && listed !== userId && listed !== encodeURIComponent(userId);
  return isOtherUser || objectAt(body, 'token') !== undefined;
}

/**
 * Reads the response to "List groups to which a user belongs" (Identity API v3).
 *
 * @returns undefined if it is the response to another request
 */
export function readKeystoneGroups(body: JsonObject | undefined, userId: string): readonly KeystoneGroup[] | undefined {
  if (isAboutOthers(body, userId)) return undefined;
  return listAt(body, 'groups').flatMap((entry) => {
    const group = isJsonObject(entry) ? readEntity(entry) : undefined;
    if (group === undefined || !isJsonObject(entry)) return [];
    return [{ ...group, domainId: textAt(entry, 'domain_id') ?? '' }];
  });
}
