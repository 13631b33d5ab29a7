// A stand-in Keystone on loopback, for faults that a real Keystone cannot cause, and for machines without one. Formats,
// statuses and texts were recorded from Keystone 22. The tests with a real Keystone, not this file, define how Keystone
// behaves.

import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { STATUS_CODES, createServer as createHttpServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { CertificateFiles } from '../../scripts/lib/pki.ts';

export interface NamedEntity {
  id: string;
  name: string;
}

export interface StandInProject extends NamedEntity {
  domain: NamedEntity;
}

export interface StandInUser extends NamedEntity {
  domain: NamedEntity;
  password: string;
  /** The only valid passcode, at any time. */
  passcode?: string;
  /** Combinations of methods, one of which is required. Default: each method alone. */
  multiFactorRules?: string[][];
  disabled?: boolean;
  passwordExpired?: boolean;
  /** Can validate tokens of other users. */
  admin?: boolean;
  defaultProjectId?: string;
  roles: { project?: StandInProject; domain?: NamedEntity; system?: true; names: string[] }[];
}

export interface StandInApplicationCredential extends NamedEntity {
  secret: string;
  userId: string;
  project: StandInProject;
  roleNames: string[];
  expiresAt?: Date;
}

export interface StandInKeystoneOptions {
  /** `clientCa` is the path of a CA. If it is set, clients must have a certificate from it. */
  tls?: CertificateFiles & { clientCa?: string };
  port?: number;
  users?: readonly StandInUser[];
  applicationCredentials?: readonly StandInApplicationCredential[];
  lifetimeSeconds?: number;
}

export interface RecordedRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** Parsed if it is JSON, otherwise text. undefined without a body. */
  body: unknown;
}

export interface StandInResponse {
  status: number;
  headers: Record<string, string>;
  /** Sent as JSON unless it is a string. */
  body?: unknown;
}

export interface HandlerContext {
  /** Processes the request and returns the response that would be sent without the handler. */
  makeDefaultResponse: () => StandInResponse;
  /** Resets the connection (RST). */
  resetConnection: () => void;
}

/** Handles a request instead of the stand-in. It must send the response itself. */
export type Handler = (
  request: RecordedRequest,
  response: ServerResponse,
  exchange: HandlerContext,
) => void | Promise<void>;

export interface StandInKeystone {
  /** Without a path or a trailing slash. */
  readonly url: string;
  readonly port: number;
  readonly requests: RecordedRequest[];
  /** Can be changed at any time. */
  lifetimeSeconds: number;
  /** Formats `expires_at`. Can be changed at any time. */
  formatExpiry: (expiry: Date) => string;
  /** How far the clock of this server is ahead. Can be changed at any time. */
  clockAheadSeconds: number;
  /** Counts the POST requests to /v3/auth/tokens, whatever the response. */
  countLogins(): number;
  /**
   * Handles the next request that starts with `only`, such as 'POST /v3/auth/tokens'. Several calls handle several
   * requests, in the order of the calls.
   */
  answerNext(handler: Handler, only?: string): void;
  answerAlways(handler: Handler, only?: string): void;
  /** Removes all handlers. */
  removeHandlers(): void;
  revoke(token: string): void;
  /** Issues a token for a login that the stand-in does not implement. */
  issueToken(user: StandInUser, methods: readonly string[], scope?: unknown): StandInResponse;
  close(): Promise<void>;
}

const acme: NamedEntity = { id: 'ad46c8976da647fd85585c4db77c8ca0', name: 'acme' };
const web: StandInProject = { id: 'c8e48b74036546c5b12bfc798932c4e2', name: 'web', domain: acme };
const db: StandInProject = { id: 'b3c86ab0ae364399a0429475e0f753c4', name: 'db', domain: acme };

/** The users of the recorded responses, with the recorded ids. */
export const recordedUsers: readonly StandInUser[] = [
  {
    id: '97b785ee1b534333bc6bd72787eed648',
    name: 'alice',
    domain: acme,
    password: 's3cret',
    roles: [
      { project: web, names: ['reader', 'member'] },
      { project: db, names: ['reader'] },
      { domain: acme, names: ['reader'] },
      { system: true, names: ['reader'] },
    ],
  },
  {
    id: 'f711c8f92ef941f8a1c1c3e41d7b86fa',
    name: 'bob',
    domain: acme,
    password: 's3cret',
    passcode: '716788',
    multiFactorRules: [['password', 'totp']],
    roles: [{ project: web, names: ['reader', 'member'] }],
  },
  {
    id: '91d1d82787204b5f9c74bfe1bb3863be',
    name: 'carol',
    domain: acme,
    password: 's3cret',
    passwordExpired: true,
    roles: [],
  },
  {
    id: '0b3d1f7c2e9a4c0f8d6b5a4938271605',
    name: 'dave',
    domain: acme,
    password: 's3cret',
    disabled: true,
    roles: [],
  },
  { id: '1c4e2a8d3fab4d1a9e7c6b5a49382716', name: 'frank', domain: acme, password: 's3cret', roles: [] },
];

export const recordedApplicationCredentials: readonly StandInApplicationCredential[] = [
  {
    id: '53d80253fa55494fa87d8246ad06a24a',
    name: 'k8s',
    secret: 'RxAlm8XHgExRj8gX3JmLl25hJKJGTYPHjxbPw8SZ7IVc5VpxTW7tGDRfTNvRIUuhR1rF8J1ya6xBgIanW59TXA',
    userId: '97b785ee1b534333bc6bd72787eed648',
    project: web,
    roleNames: ['member'],
  },
];

const roleIds = new Map([
  ['reader', '24963f28922c4ce6a8efa0569cee3329'],
  ['member', '099f7929ddf9459e9e6493fad70d44b4'],
]);

const receiptLifetimeSeconds = 300;
// The length of each kind of Fernet token, including its fixed start.
const tokenLengths = { unscoped: 162, project: 183, rescoped: 204, application_credential: 204 };
const receiptLength = 119;
const authMethods = [
  'password',
  'token',
  'totp',
  'application_credential',
  'external',
  'oauth1',
  'mapped',
  'openid',
] as const;

/** Formats a time as Keystone does: UTC with six decimal places. */
export function formatLikeKeystone(instant: Date): string {
  return instant.toISOString().replace(/Z$/, '000Z');
}

/** Sends a response. */
export function sendResponse(response: ServerResponse, answer: StandInResponse): void {
  const { body } = answer;
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  response.statusMessage = (STATUS_CODES[answer.status] ?? 'Unknown').toUpperCase();
  response.writeHead(answer.status, { 'content-length': Buffer.byteLength(text), ...answer.headers });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

type Json = Record<string, unknown>;

interface Session {
  user: StandInUser;
  methods: string[];
  auditIds: string[];
  issuedAt: Date;
  expiresAt: Date;
  scope: Json;
  roleNames: string[];
  delegated: boolean;
  revoked: boolean;
}

interface Receipt {
  user: StandInUser;
  methods: string[];
  expiresAt: Date;
}

// An error response of Keystone. It can be thrown anywhere and is formatted in one place.
class Refusal extends Error {
  readonly status: number;
  readonly extra: Json;
  constructor(status: number, message: string, extra: Json = {}) {
    super(message);
    this.status = status;
    this.extra = extra;
  }
}

const unauthorized = (): Refusal => new Refusal(401, 'The request you have made requires authentication.');
const lacks = (attribute: string, target: string): Refusal =>
  new Refusal(
    400,
    `Expecting to find ${attribute} in ${target}. The server could not comply with the request since it is either ` +
      'malformed or otherwise incorrect. The client is assumed to be in error.',
  );

/** Starts a stand-in on 127.0.0.1. */
export async function startStandInKeystone(options: StandInKeystoneOptions = {}): Promise<StandInKeystone> {
  const users = options.users ?? recordedUsers;
  const applicationCredentials = options.applicationCredentials ?? recordedApplicationCredentials;
  const requests: RecordedRequest[] = [];
  const sessions = new Map<string, Session>();
  const receipts = new Map<string, Receipt>();
  const next: { handler: Handler; only: string }[] = [];
  let always: { handler: Handler; only: string }[] = [];

  const now = (): Date => new Date(Date.now() + standIn.clockAheadSeconds * 1000);
  // Keystone uses whole seconds.
  const wholeSecond = (instant: Date): Date => new Date(Math.floor(instant.getTime() / 1000) * 1000);
  const after = (seconds: number): Date => wholeSecond(new Date(now().getTime() + seconds * 1000));

  const findUser = (given: unknown): StandInUser => {
    const user = asObject(given);
    const { id, name } = user;
    if (id === undefined && name === undefined) throw lacks('id or name', 'user');
    if (id === undefined && user['domain'] === undefined) throw lacks('domain', 'user');
    const domain = asObject(user['domain']);
    const found = users.find((candidate) =>
      id === undefined ? candidate.name === name && isSame(candidate.domain, domain) : candidate.id === id,
    );
    if (found === undefined || found.disabled === true) throw unauthorized();
    return found;
  };

  const findScope = (user: StandInUser, given: unknown): { scope: Json; roleNames: string[]; tokenLength: number } => {
    if (given === undefined && user.defaultProjectId !== undefined) {
      return findScope(user, { project: { id: user.defaultProjectId } });
    }
    const scope = asObject(given);
    const project = asObject(scope['project']);
    const domain = asObject(scope['domain']);
    if (given === undefined || given === 'unscoped' || 'unscoped' in scope) {
      return { scope: {}, roleNames: [], tokenLength: tokenLengths.unscoped };
    }
    if ('project' in scope && project['id'] === undefined && project['domain'] === undefined) {
      throw lacks('domain', 'project');
    }
    const found = user.roles.find((role) => {
      if ('project' in scope) {
        return role.project !== undefined && isSame(role.project, project) && isInDomain(role.project, project);
      }
      if ('domain' in scope) return role.domain !== undefined && isSame(role.domain, domain);
      return 'system' in scope && role.system === true;
    });
    if (found === undefined) throw unauthorized();
    const { names: roleNames } = found;
    const tokenLength = found.system === true ? tokenLengths.unscoped : tokenLengths.project;
    if (found.project !== undefined) return { scope: projectScope(found.project), roleNames, tokenLength };
    if (found.domain !== undefined) return { scope: { domain: found.domain }, roleNames, tokenLength };
    return { scope: { system: { all: true } }, roleNames, tokenLength };
  };

  const describe = (session: Session, spellExpiry: (expiry: Date) => string, catalog: boolean): Json => {
    const { user, scope, roleNames } = session;
    const unscoped = Object.keys(scope).length === 0;
    const { application_credential: credential, system, ...fixture } = scope;
    const endpoint = { region_id: 'RegionOne', url: `${standIn.url}/v3`, region: 'RegionOne' };
    return {
      methods: session.methods,
      user: { domain: user.domain, id: user.id, name: user.name, password_expires_at: null },
      audit_ids: session.auditIds,
      expires_at: spellExpiry(session.expiresAt),
      issued_at: formatLikeKeystone(session.issuedAt),
      ...fixture,
      ...(unscoped ? {} : { roles: roleNames.map((name) => ({ id: roleIds.get(name) ?? name, name })) }),
      ...(system === undefined ? {} : { system }),
      ...(unscoped || !catalog
        ? {}
        : {
            catalog: [
              {
                endpoints: ['public', 'internal', 'admin'].map((kind) => ({
                  id: `${kind}-0`,
                  interface: kind,
                  ...endpoint,
                })),
                id: '880754feddc0477786f36c9c1be6acb5',
                type: 'identity',
                name: 'keystone',
              },
            ],
          }),
      ...(credential === undefined ? {} : { application_credential: credential }),
    };
  };

  const issue = (session: Session, length: number, catalog: boolean): StandInResponse => {
    const token = makeToken(length);
    sessions.set(token, session);
    return answerJson(201, { token: describe(session, standIn.formatExpiry, catalog) }, { 'x-subject-token': token });
  };

  const login = (request: RecordedRequest): StandInResponse => {
    const catalog = !request.path.includes('nocatalog');
    if (typeof request.body === 'string') throw lacks('valid JSON', 'request body');
    const auth = asObject(request.body)['auth'];
    if (!isObject(auth)) throw lacks('auth', 'request body');
    const identity = auth['identity'];
    if (!isObject(identity)) throw lacks('identity', 'auth');
    const methods = Array.isArray(identity['methods']) ? identity['methods'].map(String) : [];
    if (methods.some((method) => !authMethods.some((known) => known === method))) {
      throw new Refusal(401, 'Attempted to authenticate with an unsupported method.', {
        identity: { methods: authMethods },
      });
    }
    for (const method of methods) {
      if (!isObject(identity[method])) throw lacks(method, 'identity');
    }
    const session = {
      methods,
      auditIds: [makeAuditId()],
      issuedAt: wholeSecond(now()),
      delegated: false,
      revoked: false,
    };

    if (methods.includes('application_credential')) {
      // Keystone checks the scope when it parses the request, before the secret.
      if (auth['scope'] !== undefined) {
        throw new Refusal(
          401,
          'Error authenticating with application credential: Application credentials cannot request a scope.',
          { identity: {} },
        );
      }
      const credential = findApplicationCredential(asObject(identity['application_credential']));
      const user = findUser({ id: credential.userId });
      const { id, name, project, roleNames } = credential;
      const expiresAt = earlier(after(standIn.lifetimeSeconds), credential.expiresAt);
      const scope = { ...projectScope(project), application_credential: { id, name, restricted: true } };
      const issued = { ...session, user, expiresAt, scope, roleNames, delegated: true };
      return issue(issued, tokenLengths.application_credential, catalog);
    }

    if (methods.includes('token')) {
      const parent = findSession(String(asObject(identity['token'])['id']));
      if (parent.delegated) {
        throw new Refusal(
          403,
          'You are not authorized to perform the requested action: ' +
            'Using a delegated token to create another token is not allowed..',
        );
      }
      const { user, expiresAt } = parent;
      const { scope, roleNames, tokenLength } = findScope(user, auth['scope']);
      const issued = {
        ...session,
        user,
        expiresAt,
        scope,
        roleNames,
        methods: [...new Set([...parent.methods, 'token'])],
        auditIds: [...session.auditIds, ...parent.auditIds.slice(-1)],
      };
      return issue(issued, tokenLength === tokenLengths.project ? tokenLengths.rescoped : tokenLength, catalog);
    }

    const receipt = findReceipt(request.headers['openstack-auth-receipt']);
    const user = checkFactors(identity, methods);
    if (receipt !== undefined && receipt.user !== user) throw unauthorized();
    const proven = [...new Set([...(receipt?.methods ?? []), ...methods])];
    const rules = user.multiFactorRules;
    if (rules !== undefined && !rules.some((rule) => rule.every((method) => proven.includes(method)))) {
      return issueReceipt(user, proven, rules);
    }
    const { scope, roleNames, tokenLength } = findScope(user, auth['scope']);
    const expiresAt = after(standIn.lifetimeSeconds);
    const issued = { ...session, user, expiresAt, scope, roleNames, methods: proven };
    return issue(issued, tokenLength, catalog);
  };

  const checkFactors = (identity: Json, methods: string[]): StandInUser => {
    const checked = methods.map((method) => {
      const given = asObject(asObject(identity[method])['user']);
      const user = findUser(given);
      const { password, passcode } = given;
      if (method === 'password' && password !== user.password) throw unauthorized();
      if (method === 'totp' && (passcode === undefined || passcode !== user.passcode)) throw unauthorized();
      if (method !== 'password' && method !== 'totp') throw unauthorized();
      if (method === 'password' && user.passwordExpired === true) {
        throw new Refusal(401, `The password is expired and needs to be changed for user: ${user.id}.`);
      }
      return user;
    });
    const [first] = checked;
    if (first === undefined || checked.some((user) => user !== first)) throw unauthorized();
    return first;
  };

  const findReceipt = (given: string | string[] | undefined): Receipt | undefined => {
    if (given === undefined) return undefined;
    const found = receipts.get(String(given));
    if (found === undefined || found.expiresAt <= now()) {
      throw new Refusal(401, `Could not find auth receipt: ${String(given)}.`);
    }
    return found;
  };

  const issueReceipt = (user: StandInUser, methods: string[], rules: string[][]): StandInResponse => {
    const receipt = makeToken(receiptLength);
    const expiresAt = after(receiptLifetimeSeconds);
    receipts.set(receipt, { user, methods, expiresAt });
    const body = {
      receipt: {
        methods,
        user: { id: user.id, name: user.name, domain: user.domain },
        expires_at: formatLikeKeystone(expiresAt),
        issued_at: formatLikeKeystone(wholeSecond(now())),
      },
      required_auth_methods: rules,
    };
    return answerJson(401, body, { 'openstack-auth-receipt': receipt });
  };

  const findApplicationCredential = (given: Json): StandInApplicationCredential => {
    const { id, name, secret } = given;
    if (id === undefined && name === undefined) throw lacks('id or name', 'application credential');
    const owner = id === undefined ? findUser(given['user']).id : undefined;
    const found = applicationCredentials.find((candidate) =>
      id === undefined ? candidate.name === name && candidate.userId === owner : candidate.id === id,
    );
    if (found === undefined && id === undefined) {
      // Keystone reads the first element of an empty list and reports the error.
      throw new Refusal(500, 'An unexpected error prevented the server from fulfilling your request.');
    }
    if (found === undefined) throw new Refusal(404, `Could not find Application Credential: ${String(id)}.`);
    if (found.secret !== secret) throw unauthorized();
    if (found.expiresAt !== undefined && found.expiresAt <= now()) throw unauthorized();
    return found;
  };

  const findSession = (token: string): Session => {
    const found = sessions.get(token);
    if (found === undefined) throw new Refusal(404, 'Could not recognize Fernet token');
    if (found.revoked || found.expiresAt <= now()) throw new Refusal(404, 'Failed to validate token');
    return found;
  };

  const findCaller = (request: RecordedRequest): Session => {
    try {
      return findSession(String(request.headers['x-auth-token']));
    } catch {
      throw unauthorized();
    }
  };

  const subjectOf = (request: RecordedRequest): { token: string; session: Session } => {
    const caller = findCaller(request);
    const token = request.headers['x-subject-token'];
    const forbidden = new Refusal(
      403,
      'You are not authorized to perform the requested action: identity:validate_token.',
    );
    if (token === undefined) throw forbidden;
    const session = findSession(String(token));
    if (session.user !== caller.user && caller.user.admin !== true) throw forbidden;
    return { token: String(token), session };
  };

  const validate = (request: RecordedRequest): StandInResponse => {
    const { token, session } = subjectOf(request);
    const described = describe(session, standIn.formatExpiry, !request.path.includes('nocatalog'));
    return answerJson(200, { token: described }, { 'x-subject-token': token });
  };

  const revokeSubject = (request: RecordedRequest): StandInResponse => {
    subjectOf(request).session.revoked = true;
    return { status: 204, headers: { vary: 'X-Auth-Token', 'x-openstack-request-id': makeRequestId() } };
  };

  const listProjects = (request: RecordedRequest): StandInResponse => {
    const { user } = findCaller(request);
    const projects = user.roles
      .flatMap((role) => role.project ?? [])
      .sort((one, other) => (one.id < other.id ? -1 : 1))
      .map(({ id, name, domain }) => ({
        id,
        name,
        domain_id: domain.id,
        description: '',
        enabled: true,
        parent_id: domain.id,
        is_domain: false,
        tags: [],
        options: {},
        links: { self: `${standIn.url}/v3/projects/${id}` },
      }));
    return answerJson(200, {
      projects,
      links: { next: null, self: `${standIn.url}/v3/auth/projects`, previous: null },
    });
  };

  const version = (): Json => ({
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${standIn.url}/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  });
  const listVersions = (): StandInResponse =>
    answerJson(300, { versions: { values: [version()] } }, { location: `${standIn.url}/v3/` });
  const showVersion = (): StandInResponse => answerJson(200, { version: version() });

  const routes = new Map<string, Map<string, (request: RecordedRequest) => StandInResponse>>([
    ['/', new Map([['GET', listVersions]])],
    ['/v3', new Map([['GET', showVersion]])],
    [
      '/v3/auth/tokens',
      new Map([
        ['POST', login],
        ['GET', validate],
        ['HEAD', validate],
        ['DELETE', revokeSubject],
      ]),
    ],
    ['/v3/auth/projects', new Map([['GET', listProjects]])],
  ]);

  const answerOrdinary = (request: RecordedRequest): StandInResponse => {
    const path = request.path.split('?')[0] ?? '/';
    const methods = routes.get(path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);
    if (methods === undefined) return answerNotFound();
    const route = methods.get(request.method);
    if (route === undefined) {
      const allow = [...methods.keys(), 'OPTIONS'].join(', ');
      return answerJson(405, { message: 'The method is not allowed for the requested URL.' }, { allow });
    }
    try {
      return route(request);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const title = STATUS_CODES[error.status] ?? '';
      const body = { error: { code: error.status, ...error.extra, message: error.message, title } };
      const challenge = { 'www-authenticate': `Keystone uri="${standIn.url}/v3"` };
      return answerJson(error.status, body, error.status === 401 ? challenge : {});
    }
  };

  const takeHandler = (line: string): Handler | undefined => {
    const queued = next.findIndex(({ only }) => line.startsWith(only));
    if (queued >= 0) return next.splice(queued, 1)[0]?.handler;
    return always.find(({ only }) => line.startsWith(only))?.handler;
  };

  // The TCP connections below TLS, by port. Only they can be reset, and Node offers no way from one to the other.
  const connections = new Map<number, Socket>();

  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url: path = '', headers } = message;
    // Some tests close the connection early.
    response.on('error', () => undefined);
    const body = await readBody(message).catch(() => undefined);
    const request: RecordedRequest = { method, path, headers, body };
    requests.push(request);
    response.setHeader('date', now().toUTCString());
    const handler = takeHandler(`${method} ${path}`);
    if (handler === undefined) {
      sendResponse(response, answerOrdinary(request));
      return;
    }
    const { remotePort } = message.socket;
    await handler(request, response, {
      makeDefaultResponse: () => answerOrdinary(request),
      resetConnection: () => void connections.get(remotePort ?? 0)?.resetAndDestroy(),
    });
  };

  const listener = (message: IncomingMessage, response: ServerResponse): void => void serve(message, response);
  const { tls } = options;
  const server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer(
          {
            cert: await readFile(tls.cert),
            key: await readFile(tls.key),
            ...(tls.clientCa === undefined
              ? {}
              : { ca: await readFile(tls.clientCa), requestCert: true, rejectUnauthorized: true }),
          },
          listener,
        );
  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0;
    connections.set(port, socket);
    socket.on('error', () => undefined);
    socket.on('close', () => connections.delete(port));
  });
  // In some tests, the client rejects the certificate.
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;

  const standIn: StandInKeystone = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests,
    lifetimeSeconds: options.lifetimeSeconds ?? 3600,
    formatExpiry: formatLikeKeystone,
    clockAheadSeconds: 0,
    countLogins: () =>
      requests.filter(({ method, path }) => method === 'POST' && /^\/v3\/auth\/tokens(?:\?|$)/.test(path)).length,
    answerNext: (handler, only = '') => void next.push({ handler, only }),
    answerAlways: (handler, only = '') => {
      // The newest handler comes first, so that a later call takes precedence.
      always = [{ handler, only }, ...always];
    },
    removeHandlers: () => {
      next.length = 0;
      always = [];
    },
    revoke: (token) => {
      findSession(token).revoked = true;
    },
    issueToken: (user, methods, wanted = 'unscoped') => {
      const { scope, roleNames, tokenLength } = findScope(user, wanted);
      const session = {
        user,
        methods: [...methods],
        auditIds: [makeAuditId()],
        issuedAt: wholeSecond(now()),
        expiresAt: after(standIn.lifetimeSeconds),
        scope,
        roleNames,
        delegated: false,
        revoked: false,
      };
      return issue(session, tokenLength, false);
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      for (const socket of connections.values()) socket.destroy();
      await closed;
    },
  };
  return standIn;
}

function answerJson(status: number, body: unknown, headers: Record<string, string> = {}): StandInResponse {
  return {
    status,
    headers: {
      'content-type': 'application/json',
      vary: 'X-Auth-Token',
      'x-openstack-request-id': makeRequestId(),
      ...headers,
    },
    body,
  };
}

function answerNotFound(): StandInResponse {
  const body =
    '<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not ' +
    'found on the server. If you entered the URL manually please check your spelling and try again.</p>\n';
  return { ...answerJson(404, body, { 'content-type': 'text/html; charset=utf-8' }), body };
}

async function readBody(message: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function makeToken(length: number): string {
  // The version and the time in Fernet's format.
  const frame = Buffer.alloc(9, 0x80);
  frame.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 1000)), 1);
  return Buffer.concat([frame, randomBytes(length)])
    .toString('base64url')
    .slice(0, length);
}

function makeRequestId(): string {
  return `req-${randomUUID()}`;
}

function makeAuditId(): string {
  return randomBytes(16).toString('base64url');
}

function projectScope({ domain, id, name }: StandInProject): Json {
  return { project: { domain, id, name }, is_domain: false };
}

function earlier(instant: Date, other: Date | undefined): Date {
  return other !== undefined && other < instant ? other : instant;
}

function isSame(thing: NamedEntity, given: Json): boolean {
  return given['id'] === undefined ? given['name'] === thing.name : given['id'] === thing.id;
}

function isInDomain(project: StandInProject, given: Json): boolean {
  return given['id'] !== undefined || isSame(project.domain, asObject(given['domain']));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** Requests a token of alice for the project web from a stand-in. */
export async function requestStandInToken({ url }: Pick<StandInKeystone, 'url'>): Promise<string> {
  const user = { name: 'alice', domain: { name: 'acme' }, password: 's3cret' };
  const scope = { project: { name: 'web', domain: { name: 'acme' } } };
  const response = await fetch(`${url}/v3/auth/tokens`, {
    method: 'POST',
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }),
  });
  return response.headers.get('x-subject-token') ?? '';
}
