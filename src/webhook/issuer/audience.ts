/** Who gets tokens for which audience. What no rule allows gets nothing. */
import type { KeystoneEntity, TokenOwner } from '../authn/token-owner.ts';

/** The claims that an audience can leave out. */
export const OPTIONAL_CLAIMS = ['preferred_username', 'groups', 'domain', 'project', 'roles'] as const;

export type OptionalClaim = (typeof OPTIONAL_CLAIMS)[number];

/** The owner of a token must meet every part of a rule that is set; as in the policy, all roles, and any of the others. */
export interface AudienceRule {
  readonly roles: readonly string[];
  /** IDs, `DOMAIN/NAME`, or `DOMAIN/*`; undefined for any project. */
  readonly projects: readonly string[] | undefined;
  /** IDs or names of the domain of the user; undefined for any domain. */
  readonly domains: readonly string[] | undefined;
}

/** A cluster, or another verifier of tokens. */
export interface Audience {
  /** The claim `aud`. */
  readonly name: string;
  readonly lifetimeMs: number;
  readonly claims: ReadonlySet<OptionalClaim>;
  readonly rules: readonly AudienceRule[];
}

/** By name. */
export type Audiences = ReadonlyMap<string, Audience>;

const ID = /^[0-9a-f]{32}$/i;

/** Whether a text has the form of an ID. Only such a text is compared with IDs, because anybody can choose a name. */
export const isId = (text: string): boolean => ID.test(text);

/** The ID of the domain that each Keystone has, the only one that an operator chooses. */
const DEFAULT_DOMAIN_ID = 'default';

function isDomain(text: string, { id, name }: KeystoneEntity): boolean {
  return isId(text) || text === DEFAULT_DOMAIN_ID ? text === id : text === name;
}

function isProject(text: string, { project, projectDomain }: TokenOwner): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return text === project.id;
  const [domain, name] = [text.slice(0, slash), text.slice(slash + 1)];
  // A name that contains the separator could be read in two ways.
  if (!isDomain(domain, projectDomain) || projectDomain.name.includes('/')) return false;
  return name === '*' || (name === project.name && !project.name.includes('/'));
}

const meets = (owner: TokenOwner, { roles, projects, domains }: AudienceRule): boolean =>
  roles.every((role) => owner.roles.includes(role)) &&
  (projects?.some((text) => isProject(text, owner)) ?? true) &&
  (domains?.some((text) => isDomain(text, owner.userDomain)) ?? true);

/** Whether the owner of a Keystone token may have a token for the audience. */
export const isAllowed = (owner: TokenOwner, { rules }: Audience): boolean => rules.some((rule) => meets(owner, rule));
