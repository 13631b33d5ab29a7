import type { Reference, Scope } from './scope.ts';
import type { Explanation } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { ExpectedToken } from './verify-token.ts';
import type { Peer } from '../http/peer.ts';

/** JSON with secrets. `JSON.stringify` prints them as `[redacted]`; {@link serializeWithSecrets} reveals them. */
export type JsonWithSecrets =
  string | boolean | Secret | readonly JsonWithSecrets[] | { readonly [name: string]: JsonWithSecrets };

/** The explanation of a response with a certain status. */
export type StatusExplanation = Explanation;

/** What a server says about a refusal. */
export interface ServerMessage {
  /** Not empty. */
  readonly text: string;
  /** Rust Keystone's errors have no title. */
  readonly isFromRustKeystone: boolean;
}

/** Explains a status by what the server says; undefined if the auth method does not know more than that. */
export type ExplainStatus = (message: ServerMessage) => StatusExplanation | undefined;

/** By HTTP status. */
export type StatusExplanations = Readonly<Partial<Record<number, StatusExplanation | ExplainStatus>>>;

/** One request that ends in a token. */
export interface AuthRequest {
  readonly verb: 'POST' | 'GET';
  /** Below the endpoint, without a leading slash. */
  readonly path: string;
  /** The endpoint, v3 if absent. Rust Keystone has v4 next to v3. */
  readonly version?: 'v4';
  /** Another Keystone than the one in the settings. */
  readonly otherKeystone?: { readonly url: string; readonly peer: Peer };
  readonly headers?: Readonly<Record<string, Secret | string>>;
  readonly body?: JsonWithSecrets;
  /** The token, if the request only asks for its details; otherwise the response has it in `X-Subject-Token`. */
  readonly existingToken?: Secret;
  /** Who logs in and for what, as text for messages: "alice on project demo". */
  readonly subject: string;
  /** What the token must contain. */
  readonly expected: ExpectedToken;
  /** What to do about a mismatch that the user's settings do not cause, as a phrase. */
  readonly mismatchHint?: string;
  /** Sent with the user's Kerberos tickets (RFC 4559). */
  readonly usesNegotiate?: true;
  /** The request contains something that works once: it is never sent twice. */
  readonly isSingleUse?: true;
  /** The scope to exchange the token for, unless it has that scope. A federated token has none ("OS-FEDERATION"). */
  readonly rescopeTarget?: Scope | undefined;
  /** Requests the next token without the user; stored together with this token. */
  readonly refreshToken?: Secret | undefined;
  /** A browser decided who logs in: the owner of the token is announced. */
  readonly announcesOwner?: true;
  /** Explanations of statuses, if the auth method knows more than the status tells. */
  readonly statusExplanations?: StatusExplanations;
  /** The same request for servers that do not know how Python Keystone asks for no scope; see {@link rewordUnscoped}. */
  readonly unscopedForms?: UnscopedForms;
}

/** Bodies that ask for no scope in other words: as a text, or not at all. */
export interface UnscopedForms {
  readonly text: JsonWithSecrets;
  readonly absent: JsonWithSecrets;
}

/** One part of an authentication (Keystone API, `auth.identity`): a method's name and its object. */
export interface IdentityPart {
  readonly method: string;
  readonly content: JsonWithSecrets;
}

/** A user by ID, or by name with a domain. */
export function toUserJson(user: Reference, domain: Reference | undefined): Readonly<Record<string, JsonWithSecrets>> {
  return 'id' in user || domain === undefined ? { ...user } : { ...user, domain: { ...domain } };
}

/** A scope in Keystone's format; undefined if Keystone decides. */
export function toScopeJson(scope: Scope): JsonWithSecrets | undefined {
  switch (scope.kind) {
    case 'project':
      return { project: 'id' in scope ? { id: scope.id } : { name: scope.name, domain: { ...scope.domain } } };
    case 'domain':
      return { domain: { ...scope.domain } };
    case 'system':
      return { system: { all: true } };
    case 'trust':
      return { 'OS-TRUST:trust': { id: scope.id } };
    case 'unscoped':
      return { unscoped: {} };
    case 'default':
      return undefined;
  }
}

/** The tokens request (Keystone API v3, "Authentication and token management"), without the catalog. */
export function buildTokensRequest(
  parts: readonly IdentityPart[],
  scope: Scope | undefined,
): Pick<AuthRequest, 'verb' | 'path' | 'body' | 'unscopedForms'> {
  const identity = {
    methods: parts.map(({ method }) => method),
    ...Object.fromEntries(parts.map(({ method, content }) => [method, content])),
  };
  const scoped = scope === undefined ? undefined : toScopeJson(scope);
  return {
    verb: 'POST',
    // Python Keystone checks for the name only; Rust Keystone requires a boolean.
    path: 'auth/tokens?nocatalog=true',
    body: { auth: scoped === undefined ? { identity } : { identity, scope: scoped } },
    ...(scope?.kind === 'unscoped'
      ? { unscopedForms: { text: { auth: { identity, scope: 'unscoped' } }, absent: { auth: { identity } } } }
      : {}),
  };
}

/** Explains what Rust Keystone says about the exchange of a token whose user exists only in a mapping. */
export function explainMissingUser(message: string): StatusExplanations {
  const hint = 'unset the project or domain, or ask its operator for a mapping rule with identity_mode "local"';
  return {
    500: ({ text }) => (/\buser cannot be found\b/.test(text) ? { code: 'auth-rejected', message, hint } : undefined),
  };
}

/** Builds the request that exchanges an unscoped token for a scoped one. It is rejected only if a role is missing. */
export function buildRescopeRequest(
  { subject, expected }: Pick<AuthRequest, 'subject' | 'expected'>,
  token: Secret,
  scope: Scope,
): AuthRequest {
  return {
    ...buildTokensRequest([{ method: 'token', content: { id: token } }], scope),
    headers: { 'x-auth-token': token },
    subject,
    expected: { ...expected, scope },
    statusExplanations: {
      401: {
        code: 'auth-rejected',
        message:
          `Keystone accepted the login, but not for ${subject}: ` +
          'the user has no role in the scope, or the project or domain does not exist',
        hint: 'choose another project or domain, or ask its operator for a role',
      },
      ...explainMissingUser(`Keystone accepted the login, but has no user to exchange its token for ${subject}`),
    },
  };
}

/** Serializes a body for sending, with secrets revealed. */
export function serializeWithSecrets(body: JsonWithSecrets): string {
  return JSON.stringify(body, function reveal(this: Record<string, unknown>, name: string, value: unknown): unknown {
    const raw = this[name];
    return raw instanceof Secret ? raw.reveal() : value;
  });
}
