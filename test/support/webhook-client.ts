/** Sends requests to a webhook over TLS, as kube-apiserver does. */
import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Pki } from '../../scripts/lib/pki.ts';

/** What runs until a test, or a benchmark, is over. */
export interface Owner {
  teardown(task: () => unknown): unknown;
}

export interface WebhookResponse {
  readonly status: number;
  /** Parsed if it is JSON, else text. */
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
}

export interface WebhookRequest {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Opens a new connection with these options instead of sharing one. */
  readonly tls?: RequestOptions;
}

/** The `status` of a TokenReview. */
export type TokenStatus = Readonly<Record<string, unknown>>;

export interface WebhookClient {
  readonly port: number;
  sendRequest(request: WebhookRequest): Promise<WebhookResponse>;
  postReview(body: unknown, tls?: RequestOptions): Promise<WebhookResponse>;
  /** Sends a TokenReview and returns the status in the response. */
  reviewToken(token: string, version?: 'v1' | 'v1beta1'): Promise<TokenStatus>;
  /** Sends a SubjectAccessReview and returns whether it is allowed. */
  isAllowed(review: unknown): Promise<boolean>;
}

/** Parses what is JSON. */
export function parseBody(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** Makes a client whose connections are closed after the test. */
export function connectToWebhook(t: Owner, port: number, pki: Pki): WebhookClient {
  const ca = readFileSync(pki.ca);
  const agent = new Agent({ keepAlive: true, maxSockets: 64, ca });
  t.teardown(() => {
    agent.destroy();
  });

  const sendRequest = (webhookRequest: WebhookRequest): Promise<WebhookResponse> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', path = '/', body, headers = {}, tls } = webhookRequest;
      const outgoing = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          ca,
          headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
          ...(tls === undefined ? { agent } : { ...tls, agent: false }),
        },
        (response) => {
          text(response).then((responseBody) => {
            const { statusCode = 0, headers: received } = response;
            resolve({ status: statusCode, body: parseBody(responseBody), headers: received });
          }, reject);
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  const postReview = (body: unknown, tls?: RequestOptions): Promise<WebhookResponse> =>
    sendRequest({
      method: 'POST',
      path: '/webhook',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      ...(tls === undefined ? {} : { tls }),
    });
  return {
    port,
    sendRequest,
    postReview,
    async reviewToken(token, version = 'v1') {
      const { body } = await postReview(makeTokenReview(token, version));
      return (body as { status: TokenStatus }).status;
    },
    async isAllowed(review) {
      const { body } = await postReview(review);
      return (body as { status: { allowed: boolean } }).status.allowed;
    },
  };
}

export function makeTokenReview(token: string, version = 'v1'): object {
  return { kind: 'TokenReview', apiVersion: `authentication.k8s.io/${version}`, metadata: {}, spec: { token } };
}

export interface AccessQuestion {
  readonly version?: string;
  readonly namespace?: string;
  readonly roles?: readonly string[];
}

/** Makes the question whether alice of the project demo may get pods. */
export function makeAccessReview({ version = 'v1', namespace = 'web', roles = [] }: AccessQuestion = {}): object {
  const extra = 'alpha.kubernetes.io/identity';
  return {
    kind: 'SubjectAccessReview',
    apiVersion: `authorization.k8s.io/${version}`,
    spec: {
      user: 'alice',
      extra: { [`${extra}/project/name`]: ['demo'], [`${extra}/roles`]: roles },
      resourceAttributes: { verb: 'get', resource: 'pods', namespace },
    },
  };
}

/** Before this time, in ms since 1970, UTC, no token was made that could still be valid. */
const LONG_AGO_MS = Date.UTC(2020);

/**
 * Makes a token in the shape of a Fernet token that Keystone does not know.
 *
 * @param createdAt when it claims to be made, ms since 1970, UTC; long ago by default, which the webhook always notices
 */
export function makeFakeToken(createdAt = randomInt(LONG_AGO_MS)): string {
  const frame = Buffer.concat([Buffer.from([0x80]), randomBytes(136)]);
  frame.writeBigUInt64BE(BigInt(Math.floor(createdAt / 1_000)), 1);
  return frame.toString('base64url');
}
