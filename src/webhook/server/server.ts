/**
 * The server that kube-apiserver asks: POST /webhook, and /healthz, /readyz and /metrics for those who watch it. HTTP/1.1
 * over TLS 1.2 or newer.
 */
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { TLSSocket } from 'node:tls';
import type { AuthenticateFunction } from '../authn/keystone-authenticator.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import { describeRequest } from '../authz/authorizer.ts';
import type { Certificates } from './certificates.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import {
  answerAccessReview,
  answerTokenReview,
  InvalidReviewError,
  makeStatus,
  parseReview,
} from '../review/review.ts';
import type { AccessReview, TokenReview } from '../review/review.ts';

export interface ServerSettings {
  readonly certificates: Certificates;
  readonly authenticate: AuthenticateFunction;
  readonly authorize: Authorizer;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Why it should get no requests now; undefined while it should. */
  readonly getUnreadyReason: () => string | undefined;
}

export interface RunningServer {
  readonly port: number;
  /** Presents other certificates to whoever connects from now on. */
  readonly replaceCertificates: (certificates: Certificates) => void;
  /** Answers what it has, and ends. */
  close(): Promise<void>;
}

const LARGEST_BODY_BYTES = 1024 * 1024;

/** Who is slower than this to say what is wanted is cut off; kube-apiserver says it at once. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
const HANDSHAKE_MS = 10_000;

/** Longer than kube-apiserver keeps an idle connection (90 s), so that we are never the one who closes it under its hand. */
const KEEP_ALIVE_MS = 120_000;
const CHECK_MS = 1_000;

const SWEEP_MS = 100;

/** An answer takes five seconds at most. */
const LAST_ANSWER_MS = 6_000;

function secureContext({ cert, key, clientCa }: Certificates): { cert: string; key: string; ca?: string } {
  return { cert, key: key.reveal(), ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

/** Milliseconds from a monotonic clock, in seconds. */
const secondsSince = (began: number): number => (performance.now() - began) / 1000;

async function reviewToken(review: TokenReview, { authenticate, metrics, log }: ServerSettings): Promise<unknown> {
  const began = performance.now();
  const { verdict, source } = await authenticate(review.token);
  metrics.recordTokenReview(verdict.kind, source, secondsSince(began));
  if (verdict.kind === 'accepted') log.debug({ uid: verdict.userInfo.uid, source }, 'token accepted');
  else if (verdict.kind === 'refused') log.info({ reason: verdict.reason, source }, 'token refused');
  else log.warn({ reason: verdict.reason, source }, 'token not judged');
  return answerTokenReview(review, verdict);
}

function reviewAccess(review: AccessReview, { authorize, metrics, log }: ServerSettings): unknown {
  const began = performance.now();
  const verdict = authorize(review);
  const result = verdict.allowed ? 'allowed' : verdict.denied ? 'denied' : 'no-opinion';
  metrics.recordAccessReview(result, secondsSince(began));
  if (log.isLevelEnabled('debug')) {
    log.debug({ uid: review.uid, request: describeRequest(review.request), result, reason: verdict.reason }, 'access');
  }
  return answerAccessReview(review, verdict);
}

type App = FastifyInstance<Server, IncomingMessage, ServerResponse>;

function isTrusted({ raw: { socket } }: FastifyRequest): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

function addRoutes(app: App, settings: ServerSettings): void {
  const { certificates, metrics, getUnreadyReason } = settings;
  const plain = (reply: FastifyReply, status: number, text: string): FastifyReply =>
    reply.code(status).type('text/plain; charset=utf-8').send(`${text}\n`);

  app.post('/webhook', async (request, reply) => {
    if (certificates.clientCa !== undefined && !isTrusted(request)) {
      return reply.code(401).send(makeStatus(401, 'Unauthorized', 'a client certificate of our authority is required'));
    }
    const review = parseReview(typeof request.body === 'string' ? request.body : '');
    return review.kind === 'TokenReview' ? reviewToken(review, settings) : reviewAccess(review, settings);
  });
  app.get('/healthz', async (_request, reply) => plain(reply, 200, 'ok'));
  app.get('/readyz', async (_request, reply) => {
    const reason = getUnreadyReason();
    return reason === undefined ? plain(reply, 200, 'ok') : plain(reply, 503, reason);
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()));
}

function addErrors(app: App, { metrics, log }: ServerSettings): void {
  app.setNotFoundHandler(async (request, reply) => {
    const elsewhere = request.method !== 'POST' && request.url === '/webhook';
    return elsewhere
      ? reply
          .code(405)
          .header('allow', 'POST')
          .send(makeStatus(405, 'MethodNotAllowed', 'POST it'))
      : reply.code(404).send(makeStatus(404, 'NotFound', 'there is nothing here but /webhook'));
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const { statusCode } = error as { statusCode?: number };
    const status = error instanceof InvalidReviewError ? 400 : (statusCode ?? 500);
    if (status >= 400 && status < 500) {
      metrics.recordBadRequest();
      const message = error instanceof InvalidReviewError ? error.message : 'the request cannot be read';
      return reply
        .code(status)
        .send(makeStatus(status, status === 413 ? 'RequestEntityTooLarge' : 'BadRequest', message));
    }
    // Only the name: nobody knows what a library put into its message.
    log.error({ error: error instanceof Error ? error.name : typeof error }, 'internal error');
    return reply.code(500).send(makeStatus(500, 'InternalError', 'internal error'));
  });
}

/**
 * Starts the server.
 *
 * @param at port 0 means any
 * @throws where it cannot listen there
 */
export async function startServer(
  settings: ServerSettings,
  at: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  const { certificates, log } = settings;
  const makeServer = (handler: RequestListener): Server =>
    createServer(
      {
        ...secureContext(certificates),
        minVersion: 'TLSv1.2',
        // Asked for always and looked at for /webhook only, since a kubelet that probes /healthz has none.
        ...(certificates.clientCa === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
        handshakeTimeout: HANDSHAKE_MS,
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      handler,
    );
  const app: App = fastify({
    logger: false,
    bodyLimit: LARGEST_BODY_BYTES,
    forceCloseConnections: 'idle',
    serverFactory: makeServer,
  });
  // Reviews are read by our own parser, whatever they are called.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    done(null, body);
  });
  addErrors(app, settings);
  addRoutes(app, settings);
  app.server.on('tlsClientError', (error: Error) => {
    log.debug({ error: 'code' in error ? error.code : error.name }, 'TLS failed');
  });
  await app.listen(at);
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : at.port,
    replaceCertificates(next) {
      app.server.setSecureContext({ ...secureContext(next), minVersion: 'TLSv1.2' });
    },
    async close() {
      // Connections outlive the answers for which they were kept open.
      const sweep = setInterval(() => {
        app.server.closeIdleConnections();
      }, SWEEP_MS);
      const end = setTimeout(() => {
        app.server.closeAllConnections();
      }, LAST_ANSWER_MS);
      await app.close();
      clearInterval(sweep);
      clearTimeout(end);
    },
  };
}
