// Makes a stand-in Keystone behave like one of three versions of Rust Keystone: v4 next to v3, its list of versions and
// error format, how it parses queries and scopes, and what v3 lacks. Statuses, fields and texts are those of recorded
// exchanges (test/fixtures/rust-keystone).

import { createHmac, randomBytes } from 'node:crypto';
import { sendResponse } from './stand-in-keystone/responses.ts';
import type { StandInKeystone } from './stand-in-keystone.ts';
import type { StandInResponse } from './stand-in-keystone/responses.ts';
import type { RecordedRequest } from './stand-in-keystone/server.ts';
import type { StandInUser } from './stand-in-keystone/users.ts';
import { RUST_KEYSTONE } from './stand-in-v4-versions.ts';
import type { RustKeystoneVersion } from './stand-in-v4-versions.ts';

type Json = Readonly<Record<string, unknown>>;

/** A cluster that Keystone knows, and the mapping of its service accounts. */
export interface K8sAuthInstance {
  readonly id: string;
  readonly isEnabled: boolean;
  /** The subjects that may ask for a TokenReview (ClusterRole `system:auth-delegator`). Default: all. */
  readonly delegators?: readonly string[];
  /** Whether the mapped users exist in the database, too. Otherwise, August's version cannot validate their tokens. */
  readonly hasUserRows?: boolean;
  readonly rules: readonly MappingRule[];
}

/** Maps a JWT to a user and a scope. */
export interface MappingRule {
  readonly name: string;
  readonly subject: string;
  readonly user: StandInUser;
  /** Default: unscoped. */
  readonly scope?: unknown;
}

/** An identity provider and the mapping of its JWTs. */
export interface JwtProvider {
  readonly id: string;
  readonly rules: readonly MappingRule[];
}

export interface V4Options {
  /** Default: August's. */
  readonly version?: RustKeystoneVersion;
  readonly instances?: readonly K8sAuthInstance[];
  readonly providers?: readonly JwtProvider[];
}

/** The audience of an API server that is not told another one: its issuer. */
const API_SERVER_AUDIENCE = 'https://kubernetes.default.svc.cluster.local';

const key = randomBytes(32);
const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
const sign = (text: string): string => createHmac('sha256', key).update(text).digest('base64url');

/** Makes a JWT that this stand-in accepts as signed by the cluster or the provider. */
export function makeJwt(claims: Json): string {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${sign(text)}`;
}

/** Makes a token like that of a kubelet for a pod in the namespace `ci`, valid for an hour. */
export function makeServiceAccountToken(name: string, claims: Json = {}): string {
  const now = Math.floor(Date.now() / 1000);
  return makeJwt({
    aud: [API_SERVER_AUDIENCE],
    exp: now + 3607,
    iat: now,
    nbf: now,
    iss: API_SERVER_AUDIENCE,
    jti: randomBytes(8).toString('hex'),
    sub: `system:serviceaccount:ci:${name}`,
    'kubernetes.io': { namespace: 'ci', serviceaccount: { name, uid: `uid-of-${name}` }, warnafter: now + 3607 },
    ...claims,
  });
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const UNAUTHENTICATED = 'The request you have made requires authentication.';

const forbidden = (): Refusal => new Refusal(403, 'You are not authorized to perform the requested action.');

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the claims of a valid JWT; undefined if its signature is wrong or it has expired. */
function checkJwt(text: string): Json | undefined {
  const [head = '', payload = '', signature] = text.split('.');
  if (signature !== sign(`${head}.${payload}`)) return undefined;
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Json;
  return Number(claims['exp']) * 1000 > Date.now() ? claims : undefined;
}

/** The API server reviews a token with its own audience, and lets its owner ask only with the role for it. */
function isReviewable({ delegators }: K8sAuthInstance, claims: Json): boolean {
  const isDelegator = delegators === undefined || delegators.includes(String(claims['sub']));
  return [claims['aud']].flat().includes(API_SERVER_AUDIENCE) && isDelegator;
}

/** A rule that is named is the only one that is tried. */
function findRule(rules: readonly MappingRule[], claims: Json, name: unknown): MappingRule | undefined {
  return rules.find((rule) => rule.subject === claims['sub'] && (name === undefined || rule.name === name));
}

/** Empties the names that the mapping engine does not look up. */
function withoutNames(response: StandInResponse): StandInResponse {
  const { token } = response.body as { token: { user: Json; project?: Json } };
  const unname = (entity: Json): Json => ({ ...entity, domain: { ...(entity['domain'] as Json), name: '' } });
  const project = token.project === undefined ? {} : { project: { ...unname(token.project), name: '' } };
  return { ...response, body: { token: { ...token, user: unname(token.user), ...project } } };
}

function makeJsonResponse(status: number, body: unknown): StandInResponse {
  return { status, headers: { 'content-type': 'application/json' }, body };
}

/** Makes a stand-in respond as Rust Keystone does. */
export function serveV4(
  standIn: StandInKeystone,
  { version = 'august', instances = [], providers = [] }: V4Options,
): void {
  const behavior = RUST_KEYSTONE[version];
  standIn.formatExpiry = behavior.formatExpiry;
  /** Tokens of users without a row: Keystone issues them, and then does not know them. */
  const unknownTokens = new Set<string>();

  const issueToken = (user: StandInUser, methods: readonly string[], scope?: unknown): StandInResponse => ({
    ...standIn.issueToken(user, methods, scope),
    status: 200,
  });

  const logInPod = (id: string, body: unknown): StandInResponse => {
    if (!isObject(body) || typeof body['jwt'] !== 'string') return behavior.refuseBody('missing field `jwt`');
    const name = body[behavior.ruleField];
    if (!behavior.hasMappingEngine && name === undefined) return behavior.refuseBody('missing field `role_name`');
    const instance = instances.find((one) => one.id === id);
    if (instance === undefined) throw new Refusal(404, `could not find k8s auth configuration: ${id}`);
    if (!behavior.hasMappingEngine && !instance.rules.some((rule) => rule.name === name)) {
      throw new Refusal(404, `could not find k8s auth role: ${String(name)}`);
    }
    const claims = checkJwt(body['jwt']);
    if (!instance.isEnabled || claims === undefined || !isReviewable(instance, claims)) throw forbidden();
    const rule = findRule(instance.rules, claims, name);
    if (rule === undefined) throw forbidden();
    const issued = issueToken(rule.user, ['mapped'], rule.scope);
    if (!behavior.hasMappingEngine) return issued;
    if (instance.hasUserRows !== true) unknownTokens.add(issued.headers['x-subject-token'] ?? '');
    return withoutNames(issued);
  };

  const logInJwt = (id: string, { headers }: RecordedRequest): StandInResponse => {
    const isOld = !behavior.hasMappingEngine;
    const provider = providers.find((one) => one.id === id);
    const [, scheme = '', text = ''] = /^(\S+) (.*)$/.exec(headers.authorization ?? '') ?? [];
    if ((isOld ? scheme : scheme.toLowerCase()) !== 'bearer') {
      throw new Refusal(400, '`bearer` token is missing in the `Authorization` header..');
    }
    const mapping = headers['openstack-mapping'];
    if (isOld && mapping === undefined) {
      throw new Refusal(400, 'JWT authentication requires `openstack-mapping` header to be provided..');
    }
    if (provider === undefined) throw new Refusal(404, `could not find identity provider: ${id}`);
    const isKnown = mapping === undefined || provider.rules.some(({ name }) => name === mapping);
    if (isOld && !isKnown) throw new Refusal(404, `could not find mapping: ${String(mapping)}`);
    const claims = checkJwt(text);
    if (claims === undefined) {
      const reason = isOld
        ? 'Error in claims verification: Signature verification failed.'
        : 'JWT verification error: InvalidSignature.';
      throw new Refusal(400, reason);
    }
    const rule = findRule(provider.rules, claims, mapping);
    if (rule !== undefined) return issueToken(rule.user, ['openid'], isOld ? rule.scope : undefined);
    if (isOld) throw new Refusal(401, UNAUTHENTICATED);
    const problem = isKnown
      ? 'no matching rule found for the provided claims'
      : `requested mapping rule '${String(mapping)}' was not found`;
    throw new Refusal(500, `internal server error: ${problem}`);
  };

  const listVersions = (): StandInResponse => {
    const describeVersion = (id: string, status: string): Json => ({
      id,
      status,
      links: [{ rel: 'self', href: `${standIn.url}//${id.replace(/\..*/, '')}` }],
    });
    const values = [describeVersion('v3.14', 'stable'), describeVersion('v4.0', behavior.statusOfV4)];
    return makeJsonResponse(200, { versions: { values } });
  };

  /** Returns the response to a login that v3 refuses in its own way; undefined for others. */
  const refuseLogin = (body: unknown): StandInResponse | undefined => {
    const auth = isObject(body) && isObject(body['auth']) ? body['auth'] : {};
    const scope = auth['scope'];
    if (isObject(scope) && 'OS-TRUST:trust' in scope) {
      const kinds = `\`project\`, \`domain\`, \`system\`${behavior.knowsUnscopedText ? ', `unscoped`' : ''}`;
      return behavior.refuseBody(`auth.scope: unknown variant \`OS-TRUST:trust\`, expected one of ${kinds}`);
    }
    if (isObject(scope) && 'unscoped' in scope) return behavior.refuseBody(behavior.unscopedProblem);
    if (scope === 'unscoped' && !behavior.knowsUnscopedText) return behavior.refuseBody(behavior.unscopedProblem);
    const identity = isObject(auth['identity']) ? auth['identity'] : {};
    if ('application_credential' in identity) throw new Refusal(401, UNAUTHENTICATED);
    const token = isObject(identity['token']) ? String(identity['token']['id']) : undefined;
    if (token === undefined) return undefined;
    if (unknownTokens.has(token)) throw new Refusal(500, 'internal server error: user cannot be found: 9b49ddec');
    const session = standIn.sessions.get(token);
    if (session?.revoked === true) throw new Refusal(500, 'internal server error: token has been revoked');
    if (session !== undefined) return undefined;
    throw new Refusal(500, 'internal server error: backend driver error: fernet decryption error');
  };

  /** Returns the response to a request of v3 that differs from Python Keystone's; undefined for others. */
  const respondV3 = ({ method, path, headers, body }: RecordedRequest): StandInResponse | undefined => {
    const { pathname, searchParams } = new URL(path, standIn.url);
    if (['/v3/auth/catalog', '/v3/auth/domains', '/v3/auth/system'].includes(pathname)) {
      return { status: 404, headers: {} };
    }
    if (searchParams.has('nocatalog') && !['true', 'false'].includes(searchParams.get('nocatalog') ?? '')) {
      throw new Refusal(400, 'Failed to deserialize query string: nocatalog: invalid boolean value: ``');
    }
    if (unknownTokens.has(String(headers['x-auth-token']))) throw new Refusal(401, UNAUTHENTICATED);
    if (/^\/v3\/users\/[^/]+\/groups$/.test(pathname) && !behavior.listsOwnGroups) throw forbidden();
    return method === 'POST' && pathname === '/v3/auth/tokens' ? refuseLogin(body) : undefined;
  };

  const respond = (request: RecordedRequest, makeDefaultResponse: () => StandInResponse): StandInResponse => {
    const [path = ''] = request.path.split('?');
    const line = `${request.method} ${path}`;
    const pod = /^POST \/v4\/k8s_auth\/instances\/([^/]+)\/auth$/.exec(line)?.[1];
    if (pod !== undefined) return logInPod(decodeURIComponent(pod), request.body);
    const provider = /^POST \/v4\/federation\/identity_providers\/([^/]+)\/jwt$/.exec(line)?.[1];
    if (provider !== undefined) return logInJwt(decodeURIComponent(provider), request);
    if (line === 'GET /') return listVersions();
    if (!path.startsWith('/v3/')) return { status: 404, headers: {} };
    const own = respondV3(request);
    if (own !== undefined) return own;
    const response = makeDefaultResponse();
    return response.status === 201 ? { ...response, status: behavior.issuedStatus } : response;
  };

  standIn.answerAlways((request, response, { makeDefaultResponse }) => {
    try {
      sendResponse(response, withoutTitle(respond(request, makeDefaultResponse)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sendResponse(response, makeJsonResponse(error.status, { error: { code: error.status, message: error.message } }));
    }
  });
}

/** Removes the title of an error, because Rust Keystone's errors consist of a code and a message. */
function withoutTitle(response: StandInResponse): StandInResponse {
  const error = isObject(response.body) ? response.body['error'] : undefined;
  if (!isObject(error)) return response;
  return { ...response, body: { error: { code: error['code'], message: error['message'] } } };
}

/** Returns what the stand-in reports about a token. */
export async function fetchTokenFacts(standIn: StandInKeystone, token: string): Promise<Json> {
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const response = await fetch(`${standIn.url}/v3/auth/tokens?nocatalog=true`, { headers });
  const body = (await response.json()) as { token: Json };
  return body.token;
}
