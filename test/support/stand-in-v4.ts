// Makes a stand-in Keystone behave like Rust Keystone: v4 next to v3, its list of versions and error format, and how it
// parses queries and scopes. No distribution contains Rust Keystone yet. Statuses and field names are those of its
// sources.

import { createHmac, randomBytes } from 'node:crypto';
import { sendResponse } from './stand-in-keystone/responses.ts';
import type { StandInKeystone } from './stand-in-keystone.ts';
import type { StandInResponse } from './stand-in-keystone/responses.ts';
import type { RecordedRequest } from './stand-in-keystone/server.ts';
import type { StandInUser } from './stand-in-keystone/users.ts';

type Json = Readonly<Record<string, unknown>>;

/** A cluster that Keystone knows, and the mapping of its service accounts. */
export interface K8sAuthInstance {
  readonly id: string;
  readonly isEnabled: boolean;
  readonly audience: string;
  /** The field of the request that names the rule: `role_name` before June 2026, `rule_name` since. */
  readonly ruleField: 'role_name' | 'rule_name';
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
  /** Older versions require the name of a mapping, and the scheme in lower case. */
  readonly isOldVersion: boolean;
  readonly rules: readonly MappingRule[];
}

export interface V4Options {
  readonly instances?: readonly K8sAuthInstance[];
  readonly providers?: readonly JwtProvider[];
}

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
    aud: ['keystone'],
    exp: now + 3607,
    iat: now,
    nbf: now,
    iss: 'https://kubernetes.default.svc.cluster.local',
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

function findRule(rules: readonly MappingRule[], claims: Json, hint: unknown): MappingRule | undefined {
  const matching = rules.filter(({ subject }) => subject === claims['sub']);
  return matching.find(({ name }) => name === hint) ?? matching[0];
}

function makeJsonResponse(status: number, body: unknown): StandInResponse {
  return { status, headers: { 'content-type': 'application/json' }, body };
}

/** Responds as axum does to a body of a wrong type. */
function respondUnprocessable(what: string): StandInResponse {
  return { status: 422, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: what };
}

/** Makes a stand-in respond as Rust Keystone does. */
export function serveV4(standIn: StandInKeystone, { instances = [], providers = [] }: V4Options): void {
  const issueToken = ({ user, scope }: MappingRule, methods: readonly string[]): StandInResponse => ({
    ...standIn.issueToken(user, methods, scope),
    status: 200,
  });

  const logInPod = (id: string, body: unknown): StandInResponse => {
    if (!isObject(body) || typeof body['jwt'] !== 'string') return respondUnprocessable('missing field `jwt`');
    const instance = instances.find((one) => one.id === id);
    if (instance === undefined) throw new Refusal(404, `could not find k8s auth configuration: ${id}`);
    const claims = checkJwt(body['jwt']);
    const audience = claims === undefined ? [] : [claims['aud']].flat();
    if (!instance.isEnabled || claims === undefined || !audience.includes(instance.audience)) throw forbidden();
    const rule = findRule(instance.rules, claims, body[instance.ruleField]);
    if (rule === undefined) throw forbidden();
    return issueToken(rule, ['mapped']);
  };

  const logInJwt = (id: string, { headers }: RecordedRequest): StandInResponse => {
    const provider = providers.find((one) => one.id === id);
    const isOldVersion = provider?.isOldVersion === true;
    const [, scheme = '', text = ''] = /^(\S+) (.*)$/.exec(headers.authorization ?? '') ?? [];
    if ((isOldVersion ? scheme : scheme.toLowerCase()) !== 'bearer') {
      throw new Refusal(400, '`bearer` token is missing in the `Authorization` header.');
    }
    const mapping = headers['openstack-mapping'];
    if (isOldVersion && mapping === undefined) {
      throw new Refusal(400, 'JWT authentication requires `openstack-mapping` header to be provided.');
    }
    if (provider === undefined) throw new Refusal(404, `could not find identity provider: ${id}`);
    if (isOldVersion && !provider.rules.some(({ name }) => name === mapping)) {
      throw new Refusal(404, `could not find mapping: ${String(mapping)}`);
    }
    const claims = checkJwt(text);
    if (claims === undefined) throw new Refusal(400, 'Error in claims verification: signature verification failed');
    const rule = findRule(provider.rules, claims, mapping);
    if (rule === undefined) throw new Refusal(401, 'The request you have made requires authentication.');
    return issueToken(rule, ['openid']);
  };

  const listVersions = (): StandInResponse => {
    const version = (id: string): Json => ({
      id,
      status: 'stable',
      links: [{ rel: 'self', href: `${standIn.url}/${id.replace(/\..*/, '')}/` }],
    });
    return makeJsonResponse(200, { versions: { values: [version('v3.14'), version('v4.0')] } });
  };

  /** Returns the response to a request that v3 cannot parse; undefined for other requests. */
  const refuseV3 = ({ path, body }: RecordedRequest): StandInResponse | undefined => {
    const query = new URL(path, standIn.url).searchParams;
    if (query.has('nocatalog') && !['true', 'false'].includes(query.get('nocatalog') ?? '')) {
      return {
        status: 400,
        headers: {},
        body: 'Failed to deserialize query string: provided string was not `true` or `false`',
      };
    }
    const auth = isObject(body) ? body['auth'] : undefined;
    const scope = isObject(auth) ? auth['scope'] : undefined;
    return isObject(scope) && 'unscoped' in scope ? respondUnprocessable('unknown variant `unscoped`') : undefined;
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
    return refuseV3(request) ?? makeDefaultResponse();
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
