/**
 * A web server on loopback that receives the result of a browser login, once (RFC 8252, section 7.3).
 *
 * Any page in the browser and any user of this machine can send requests to it. Only a request with the expected
 * method, path and host, which the browser shows as a page and which belongs to this login, counts. Any other request
 * neither completes the login nor makes it fail.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { renderCallbackPage } from './callback-page.ts';
import type { CallbackOutcome } from './callback-page.ts';
import type { CallbackParameters } from './callback-parameters.ts';
import { isForCallback, readCallback } from './callback-request.ts';
import type { ExpectedCallback } from './callback-request.ts';
import { limitConnections } from './connection-limit.ts';
import { openLoopbackServers } from './loopback-servers.ts';

/** The browser sends the cookies of every other program on localhost too. */
const MAX_HEADERS_BYTES = 64 * 1024;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const TIMEOUT_CHECK_INTERVAL_MS = 500;
const MAX_CONNECTIONS = 256;

/** Reads what a browser brings; undefined when it belongs to another login. An error that it throws ends the login. */
export type CallbackHandler<T> = (values: CallbackParameters) => T | undefined;

/** Which request the listener waits for. */
export interface CallbackListenerSettings {
  /** The address that the browser is sent to: http:// with a loopback host; port 0 means any free port. */
  readonly url: string;
  /** A POST brings a form, a GET brings a query. */
  readonly verb: 'GET' | 'POST';
  /** The only origin that may send the request, if the browser reports an origin. */
  readonly origin?: string;
  /** How to choose another port, as text for hints. */
  readonly portHint: string;
  /** For `--verbose`. */
  readonly detail: (message: string) => void;
}

/** An open listener. */
export interface CallbackListener {
  /** The address that the browser is sent to, with the port that the listener uses. */
  readonly url: string;
  /** Waits for the first result that `accept` takes; the listener ignores every result before and after that. */
  receive<T>(accept: CallbackHandler<T>): Promise<T>;
  /** Closes the port and every connection. */
  close(): void;
}

type Receiver = (values: CallbackParameters, response: ServerResponse) => void;

function sendPage(response: ServerResponse, outcome: CallbackOutcome): void {
  const { status, headers, body } = renderCallbackPage(outcome);
  response.writeHead(status, headers).end(body);
}

function createCallbackServer(serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADERS_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    },
    (request, response) => {
      // A request that breaks off counts as no request.
      serve(request, response).catch(() => request.destroy());
    },
  );
  limitConnections(server, MAX_CONNECTIONS);
  return server;
}

/** Runs `accept` and returns the page to show and how to settle the login; undefined when the login goes on. */
function evaluate<T>(
  accept: CallbackHandler<T>,
  values: CallbackParameters,
  { resolve, reject }: { resolve: (result: T) => void; reject: (error: Error) => void },
): { outcome: CallbackOutcome; settle: () => void } | undefined {
  try {
    const result = accept(values);
    return result === undefined
      ? undefined
      : {
          outcome: 'done',
          settle: () => {
            resolve(result);
          },
        };
  } catch (error) {
    return {
      outcome: 'refused',
      settle: () => {
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    };
  }
}

/**
 * Opens a listener on loopback.
 *
 * @throws ConfigError when the port is not available
 */
export async function openCallbackListener(settings: CallbackListenerSettings): Promise<CallbackListener> {
  const { verb, origin, portHint, detail } = settings;
  const url = new URL(settings.url);
  const expected: ExpectedCallback = { url, verb, origin };
  let receiver: Receiver | undefined;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s);
    if (!isForCallback(request, path, expected)) {
      sendPage(response, 'nothing');
      return;
    }
    const values = await readCallback(request, query, expected);
    if (values === undefined) detail('the browser sent a request that cannot be the result of this login');
    if (values === undefined || receiver === undefined) sendPage(response, 'unexpected');
    else receiver(values, response);
  }

  const { port, servers } = await openLoopbackServers(() => createCallbackServer(serve), url, portHint);
  url.port = String(port);

  return {
    url: url.href,
    receive: async (accept) =>
      new Promise((resolve, reject) => {
        receiver = (values, response) => {
          const evaluation = evaluate(accept, values, { resolve, reject });
          if (evaluation === undefined) {
            detail('the browser brought the result of another login');
            sendPage(response, 'unexpected');
            return;
          }
          receiver = undefined;
          // The login settles after the page is sent, or when the browser disconnects.
          response.once('close', evaluation.settle);
          sendPage(response, evaluation.outcome);
        };
      }),
    close() {
      receiver = undefined;
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}
