/**
 * A stand-in issuer that exchanges Keystone tokens for JWTs, for faults and lies that a real one does not have. It asks
 * Keystone about each token, as a real one does.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { text as readAll } from 'node:stream/consumers';
import type { Test } from 'tap';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { handleRequest } from './handle-request.ts';
import { listenForTest } from './listen-for-test.ts';
import { makeIssuerKey, signJwt } from './stand-in-issuer.ts';
import type { IssuerKey } from './stand-in-issuer.ts';

export const ISSUER_DISCOVERY = 'GET /.well-known/openid-configuration';
export const ISSUER_EXCHANGE = 'POST /token';
export const ISSUER_KEYS = 'GET /jwks';

/** A JWT in another text. Three characters are too few: the name of a temporary folder can contain them. */
export const ANY_JWT = /eyJ[-\w]{9}/;

const ID_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:id_token';
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** A request as it arrived. */
export interface IssuerRequest {
  /** `METHOD PATH`. */
  readonly line: string;
  readonly form: URLSearchParams;
  readonly message: IncomingMessage;
}

/** An answer; an object is sent as JSON. */
export interface IssuerAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** Answers a request in place of the stand-in; undefined leaves it to the stand-in, and `sent` says that it is done. */
export type AnswerRequest = (
  request: IssuerRequest,
  response: ServerResponse,
) => IssuerAnswer | 'sent' | undefined | Promise<IssuerAnswer | 'sent' | undefined>;

export interface StandInExchange {
  /** Without a trailing slash. */
  readonly url: string;
  readonly requests: readonly IssuerRequest[];
  /** Counts the exchanges, whatever the answer was. */
  countExchanges(): number;
  /** The clusters that it issues JWTs for. */
  audiences: readonly string[];
  lifetimeSeconds: number;
  key: IssuerKey;
  /** Replaces claims of its JWTs. */
  claims: Readonly<Record<string, unknown>>;
  answer: AnswerRequest;
  /** Makes a JWT for a cluster. */
  sign(audience: string): string;
  /** The members of its answer to an exchange. */
  makeAnswer(token: string): Record<string, unknown>;
}

/** How a stand-in is started. */
export interface StandInExchangeOptions {
  /** The Keystone that it asks, without `/v3`; undefined accepts every token. */
  readonly keystone?: string | undefined;
  /** PEM files; plain http without them. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Of its URL. */
  readonly path?: string;
  /** ms since 1970. */
  readonly now?: () => number;
}

interface KeystoneUser {
  readonly id: string;
  readonly name: string;
}

async function askKeystone(keystone: string | undefined, token: string): Promise<KeystoneUser | undefined> {
  if (keystone === undefined) return { id: 'id-of-alice', name: 'alice' };
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  const response = await fetch(`${keystone}/v3/auth/tokens?nocatalog=true`, { headers });
  if (response.status !== 200) {
    await response.body?.cancel();
    return undefined;
  }
  return ((await response.json()) as { token: { user: KeystoneUser } }).token.user;
}

const refuse = (status: number, error: string, description: string): IssuerAnswer => ({
  status,
  body: { error, error_description: description },
});

/** Starts a stand-in on 127.0.0.1 that stops after the test. */
export async function startStandInExchange(t: Test, options: StandInExchangeOptions = {}): Promise<StandInExchange> {
  const { keystone, tls, path = '', now = Date.now } = options;
  const requests: IssuerRequest[] = [];
  let user: KeystoneUser = { id: 'id-of-alice', name: 'alice' };

  const exchange = async (form: URLSearchParams): Promise<IssuerAnswer> => {
    const audience = form.get('audience') ?? '';
    if (form.get('subject_token_type') !== 'urn:openstack:params:oauth:token-type:keystone') {
      return refuse(400, 'invalid_request', 'subject_token_type');
    }
    if (!issuer.audiences.includes(audience)) return refuse(400, 'invalid_target', 'unknown audience');
    const owner = await askKeystone(keystone, form.get('subject_token') ?? '');
    if (owner === undefined) return refuse(400, 'invalid_grant', 'Keystone does not accept the token');
    user = owner;
    return { body: issuer.makeAnswer(issuer.sign(audience)) };
  };

  const respond = async ({ line, form, message }: IssuerRequest): Promise<IssuerAnswer> => {
    if (line === ISSUER_DISCOVERY) {
      const { url } = issuer;
      return { body: { issuer: url, jwks_uri: `${url}/jwks`, token_endpoint: `${url}/token` } };
    }
    if (line === ISSUER_KEYS) {
      const { kid, publicKey } = issuer.key;
      return { body: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] } };
    }
    if (line !== ISSUER_EXCHANGE) return refuse(404, 'invalid_request', 'not found');
    if (!String(message.headers['content-type']).startsWith(FORM_TYPE)) return refuse(400, 'invalid_request', 'type');
    return exchange(form);
  };

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readAll(message);
    const line = `${message.method ?? ''} ${(message.url ?? '').slice(path.length)}`;
    const request = { line, form: new URLSearchParams(body), message };
    requests.push(request);
    const own = await issuer.answer(request, response);
    if (own === 'sent') return;
    const { status = 200, headers = {}, body: content = '' } = own ?? (await respond(request));
    const date = new Date(now()).toUTCString();
    response.writeHead(status, { 'content-type': 'application/json', date, ...headers });
    response.end(typeof content === 'string' ? content : JSON.stringify(content));
  };

  const listener = (message: IncomingMessage, response: ServerResponse): void => {
    handleRequest(t, message, response, () => handle(message, response));
  };
  const server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, listener);
  const port = await listenForTest(t, waitForClients(server));
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}${path}`;
  const issuer: StandInExchange = {
    url,
    requests,
    countExchanges: () => requests.filter(({ line }) => line === ISSUER_EXCHANGE).length,
    audiences: ['prod', 'test'],
    lifetimeSeconds: 600,
    key: makeIssuerKey('key-1'),
    claims: {},
    answer: () => undefined,
    sign(audience) {
      const seconds = Math.floor(now() / 1000);
      const times = { iat: seconds, nbf: seconds, exp: seconds + issuer.lifetimeSeconds };
      const who = { sub: user.id, preferred_username: user.name, groups: ['admins', 'members'] };
      return signJwt({ iss: url, aud: audience, jti: randomUUID(), ...times, ...who, ...issuer.claims }, issuer.key);
    },
    makeAnswer: (token) => ({
      access_token: token,
      issued_token_type: ID_TOKEN_TYPE,
      token_type: 'N_A',
      expires_in: issuer.lifetimeSeconds,
    }),
  };
  return issuer;
}

/** Makes the settings of an exchange. */
export function makeExchangeSettings({ url }: Pick<StandInExchange, 'url'>, audience = 'prod'): Record<string, string> {
  return { OS_TOKEN_EXCHANGE_URL: url, OS_TOKEN_EXCHANGE_AUDIENCE: audience };
}

/** Reads the claims of a JWT without a check. */
export function readClaims(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
}
