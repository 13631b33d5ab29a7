/**
 * The server for kube-apiserver: POST /webhook, and /healthz, /readyz and /metrics for monitoring. HTTP/1.1 over TLS
 * 1.2 or newer.
 */
import { once } from 'node:events';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../shared/base/clock.ts';
import type { AuthenticateFunction } from '../authn/authenticator.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import { describeRequest } from '../review/access-request.ts';
import {
  answerAccessReview,
  answerTokenReview,
  InvalidReviewError,
  makeStatus,
  parseReview,
} from '../review/review.ts';
import type { AccessReview, TokenReview } from '../review/review.ts';
import type { Certificates } from './certificates.ts';
import { prepareDrain } from './drain.ts';
import { listenOn } from './listen.ts';
import type { ListenAddress } from './listen.ts';
import type { MetricsAccess } from './metrics-access.ts';

export interface ServerSettings {
  readonly certificates: Certificates;
  /** Common names of client certificates; empty if every certificate of the CA is accepted. */
  readonly allowedClientNames: readonly string[];
  readonly metricsAccess: MetricsAccess;
  readonly authenticate: AuthenticateFunction;
  readonly authorize: Authorizer;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  /** Why /readyz fails now; undefined if the server is ready. */
  readonly getUnreadyReason: () => string | undefined;
}

export interface RunningServer {
  readonly port: number;
  /** Uses other certificates for new connections. */
  readonly replaceCertificates: (certificates: Certificates) => void;
  /** Asks clients to connect elsewhere from now on, and still answers. */
  readonly drain: () => void;
  /** Completes the running requests and stops. */
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 1024 * 1024;

/** Slower clients are disconnected; kube-apiserver sends its requests without delay. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
const HANDSHAKE_MS = 10_000;

/**
 * Longer than the 90 s of kube-apiserver, so that the server never closes a connection that a request is about to
 * use.
 */
const KEEP_ALIVE_MS = 120_000;
const CONNECTION_CHECK_MS = 1_000;

/** How often idle connections are closed during a shutdown. */
const SWEEP_MS = 100;

/** How long a shutdown waits; a review takes 5 s at most. */
const MAX_CLOSE_MS = 6_000;

function makeSecureContext({ cert, key, clientCa }: Certificates): { cert: string; key: string; ca?: string } {
  return { cert, key: key.reveal(), ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000;

async function reviewToken(review: TokenReview, { authenticate, metrics, log }: ServerSettings): Promise<unknown> {
  const startedAt = performance.now();
  const { verdict, source } = await authenticate(review.token);
  metrics.recordTokenReview(verdict.kind, source, secondsSince(startedAt));
  if (verdict.kind === 'accepted') log.debug({ uid: verdict.userInfo.uid, source }, 'token accepted');
  else if (verdict.kind === 'refused') log.info({ reason: verdict.reason, source }, 'token refused');
  else log.warn({ reason: verdict.reason, source }, 'token not validated');
  return answerTokenReview(review, verdict);
}

function reviewAccess(review: AccessReview, { authorize, metrics, log }: ServerSettings): unknown {
  const startedAt = performance.now();
  const verdict = authorize(review);
  const result = verdict.allowed ? 'allowed' : verdict.denied ? 'denied' : 'no-opinion';
  metrics.recordAccessReview(result, secondsSince(startedAt));
  if (log.isLevelEnabled('debug')) {
    log.debug({ uid: review.uid, request: describeRequest(review.request), result, reason: verdict.reason }, 'access');
  }
  return answerAccessReview(review, verdict);
}

type App = FastifyInstance<Server, IncomingMessage, ServerResponse>;

/** Why the client of a request is not accepted; undefined if it is, or if no client certificate is required. */
function findClientProblem(
  { raw: { socket } }: FastifyRequest,
  { certificates, allowedClientNames }: ServerSettings,
): string | undefined {
  if (certificates.clientCa === undefined) return undefined;
  if (!(socket instanceof TLSSocket) || !socket.authorized) {
    return 'a client certificate signed by the CA in --client-ca-file is required';
  }
  if (allowedClientNames.length === 0) return undefined;
  // A subject can have several common names; none of them decides alone.
  const name: unknown = socket.getPeerCertificate().subject.CN;
  if (typeof name === 'string' && allowedClientNames.includes(name)) return undefined;
  return 'the name of the client certificate is not among --allowed-client-names';
}

function addReviewRoute(app: App, settings: ServerSettings): void {
  app.post('/webhook', async (request, reply) => {
    const problem = findClientProblem(request, settings);
    if (problem !== undefined) {
      settings.log.debug({ problem }, 'client refused');
      return reply.code(401).send(makeStatus(401, 'Unauthorized', problem));
    }
    const review = parseReview(typeof request.body === 'string' ? request.body : '');
    return review.kind === 'TokenReview' ? reviewToken(review, settings) : reviewAccess(review, settings);
  });
}

function addMonitoringRoutes(app: App, settings: ServerSettings): void {
  const { metrics, metricsAccess, getUnreadyReason } = settings;
  const sendText = (reply: FastifyReply, status: number, text: string): FastifyReply =>
    reply.code(status).type('text/plain; charset=utf-8').send(`${text}\n`);

  app.get('/healthz', async (_request, reply) => sendText(reply, 200, 'ok'));
  app.get('/readyz', async (_request, reply) => {
    const reason = getUnreadyReason();
    return reason === undefined ? sendText(reply, 200, 'ok') : sendText(reply, 503, reason);
  });
  if (metricsAccess === 'off') return;
  app.get('/metrics', async (request, reply) => {
    const problem = metricsAccess === 'clients' ? findClientProblem(request, settings) : undefined;
    if (problem !== undefined) return sendText(reply, 401, problem);
    return reply.type(metrics.contentType).send(await metrics.render());
  });
}

function addErrorHandlers(app: App, { metrics, log }: ServerSettings): void {
  app.setNotFoundHandler(async (request, reply) => {
    const isWrongMethod = request.method !== 'POST' && request.url === '/webhook';
    return isWrongMethod
      ? reply
          .code(405)
          .header('allow', 'POST')
          .send(makeStatus(405, 'MethodNotAllowed', 'send reviews with POST'))
      : reply.code(404).send(makeStatus(404, 'NotFound', 'unknown path; send reviews to /webhook'));
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const { statusCode } = error as { statusCode?: number };
    const status = error instanceof InvalidReviewError ? 400 : (statusCode ?? 500);
    if (status >= 400 && status < 500) {
      metrics.recordBadRequest();
      const message = error instanceof InvalidReviewError ? error.message : 'the request is invalid';
      return reply
        .code(status)
        .send(makeStatus(status, status === 413 ? 'RequestEntityTooLarge' : 'BadRequest', message));
    }
    // Only the name: the message of a library may quote a token.
    log.error({ error: error instanceof Error ? error.name : typeof error }, 'internal error');
    return reply.code(500).send(makeStatus(500, 'InternalError', 'internal error'));
  });
}

function makeApp(settings: ServerSettings): App {
  const { certificates, log } = settings;
  const makeServer = (handler: RequestListener): Server =>
    createServer(
      {
        ...makeSecureContext(certificates),
        minVersion: 'TLSv1.2',
        // Requested always but checked for /webhook only, because a kubelet that probes /healthz has no certificate.
        ...(certificates.clientCa === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
        handshakeTimeout: HANDSHAKE_MS,
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CONNECTION_CHECK_MS,
      },
      handler,
    );
  const app: App = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    serverFactory: makeServer,
  });
  // Every body is text for parseReview, whatever its content type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    done(null, body);
  });
  addErrorHandlers(app, settings);
  addReviewRoute(app, settings);
  addMonitoringRoutes(app, settings);
  app.server.on('tlsClientError', (error: Error) => {
    log.debug({ error: 'code' in error ? error.code : error.name }, 'TLS handshake failed');
  });
  return app;
}

/**
 * Starts the server.
 *
 * @throws ConfigError if it cannot listen on the address
 */
export async function startServer(settings: ServerSettings, address: ListenAddress): Promise<RunningServer> {
  const app = makeApp(settings);
  const { server } = app;
  const startDrain = prepareDrain(server);
  await app.ready();
  const port = await listenOn(server, address);
  return {
    port,
    replaceCertificates(next) {
      server.setSecureContext({ ...makeSecureContext(next), minVersion: 'TLSv1.2' });
    },
    drain: startDrain,
    async close() {
      startDrain();
      // Not app.close(), which answers 503 to what the open connections send.
      const closed = once(server, 'close');
      server.close();
      // A connection becomes idle only after its running request.
      const sweep = setInterval(() => {
        server.closeIdleConnections();
      }, SWEEP_MS);
      const cancelTimeout = settings.clock.startTimer(MAX_CLOSE_MS, () => {
        server.closeAllConnections();
      });
      await closed;
      clearInterval(sweep);
      cancelTimeout();
    },
  };
}
