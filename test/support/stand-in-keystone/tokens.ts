/** Tokens: issues, describes, validates and revokes them. */
import { randomBytes } from 'node:crypto';
import type { Json } from './json.ts';
import { formatLikeKeystone, makeCommonHeaders, makeJsonResponse, Refusal, refuseLogin } from './responses.ts';
import type { StandInResponse } from './responses.ts';
import { findScope } from './scopes.ts';
import type { RecordedRequest } from './server.ts';
import { addSeconds, readClock, roundDown } from './state.ts';
import type { Session, StandInState } from './state.ts';
import type { StandInUser } from './users.ts';

const ROLE_IDS = new Map([
  ['reader', '24963f28922c4ce6a8efa0569cee3329'],
  ['member', '099f7929ddf9459e9e6493fad70d44b4'],
]);

/** What all new tokens have in common. */
export function beginSession(state: StandInState): Pick<Session, 'auditIds' | 'issuedAt' | 'delegated' | 'revoked'> {
  const auditIds = [randomBytes(16).toString('base64url')];
  return { auditIds, issuedAt: roundDown(readClock(state)), delegated: false, revoked: false };
}

/** Issues a token. */
export function issue(
  state: StandInState,
  session: Session,
  { length, catalog = false }: { readonly length: number; readonly catalog?: boolean },
): StandInResponse {
  const token = makeFernet(state, length);
  state.sessions.set(token, session);
  return makeJsonResponse(201, { token: describe(state, session, catalog) }, { 'x-subject-token': token });
}

/** Issues a token for a login that the stand-in does not implement. */
export function issueToken(
  state: StandInState,
  user: StandInUser,
  methods: readonly string[],
  wanted: unknown = 'unscoped',
): StandInResponse {
  const { scope, roleNames, tokenLength } = findScope(user, wanted);
  const expiresAt = addSeconds(state, state.lifetimeSeconds);
  return issue(state, { ...beginSession(state), user, methods, expiresAt, scope, roleNames }, { length: tokenLength });
}

/** Makes a random text with the version and the time of a Fernet token. */
export function makeFernet({ now }: StandInState, length: number): string {
  const frame = Buffer.alloc(9, 0x80);
  frame.writeBigUInt64BE(BigInt(Math.floor(now() / 1000)), 1);
  return Buffer.concat([frame, randomBytes(length)])
    .toString('base64url')
    .slice(0, length);
}

/** @throws Refusal if the token is unknown, revoked or expired */
export function findSession(state: StandInState, token: string): Session {
  const found = state.sessions.get(token);
  if (found === undefined) throw new Refusal(404, 'Could not recognize Fernet token');
  if (found.revoked || found.expiresAt <= readClock(state)) throw new Refusal(404, 'Failed to validate token');
  return found;
}

/**
 * Finds the session of X-Auth-Token.
 *
 * @throws Refusal if the token is not valid
 */
export function findCaller(state: StandInState, { headers }: RecordedRequest): Session {
  try {
    return findSession(state, String(headers['x-auth-token']));
  } catch {
    throw refuseLogin();
  }
}

/** Answers GET and HEAD. */
export function validate(state: StandInState, request: RecordedRequest): StandInResponse {
  const { token, session } = findSubject(state, request);
  const described = describe(state, session, !request.path.includes('nocatalog'));
  return makeJsonResponse(200, { token: described }, { 'x-subject-token': token });
}

/** Answers DELETE. */
export function revoke(state: StandInState, request: RecordedRequest): StandInResponse {
  findSubject(state, request).session.revoked = true;
  return { status: 204, headers: makeCommonHeaders() };
}

function findSubject(state: StandInState, request: RecordedRequest): { token: string; session: Session } {
  const caller = findCaller(state, request);
  const token = request.headers['x-subject-token'];
  const forbidden = new Refusal(
    403,
    'You are not authorized to perform the requested action: identity:validate_token.',
  );
  if (token === undefined) throw forbidden;
  const session = findSession(state, String(token));
  if (session.user !== caller.user && caller.user.admin !== true) throw forbidden;
  return { token: String(token), session };
}

function describe({ url, formatExpiry, services }: StandInState, session: Session, catalog: boolean): Json {
  const { user, scope, roleNames } = session;
  const isUnscoped = Object.keys(scope).length === 0;
  const { application_credential: credential, system, ...others } = scope;
  return {
    methods: session.methods,
    user: { domain: user.domain, id: user.id, name: user.name, password_expires_at: null },
    audit_ids: session.auditIds,
    expires_at: formatExpiry(session.expiresAt),
    issued_at: formatLikeKeystone(session.issuedAt),
    ...others,
    ...(isUnscoped ? {} : { roles: roleNames.map((name) => ({ id: ROLE_IDS.get(name) ?? name, name })) }),
    ...(system === undefined ? {} : { system }),
    ...(isUnscoped || !catalog ? {} : { catalog: [describeCatalog(url), ...services] }),
    ...(credential === undefined ? {} : { application_credential: credential }),
  };
}

function describeCatalog(url: string): Json {
  const endpoint = { region_id: 'RegionOne', url: `${url}/v3`, region: 'RegionOne' };
  const kinds = ['public', 'internal', 'admin'];
  return {
    endpoints: kinds.map((kind) => ({ id: `${kind}-0`, interface: kind, ...endpoint })),
    id: '880754feddc0477786f36c9c1be6acb5',
    type: 'identity',
    name: 'keystone',
  };
}
