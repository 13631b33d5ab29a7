/**
 * Where the browser brings the result of a login to: a web server on loopback, for one answer (RFC 8252, section 7.3).
 *
 * Every page that the browser shows meanwhile can send requests here, and so can every user of this machine. What counts
 * is therefore only what has the right method, path and host, comes as a page that the person sees, and is what the
 * login waits for. Anything else neither ends the login nor fails it.
 */
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { getErrorCode, ConfigError } from '../../shared/base/errors.ts';
import { renderCallbackPage } from './callback-page.ts';
import type { CallbackOutcome } from './callback-page.ts';
import { parseCallbackParameters } from './callback-parameters.ts';
import type { CallbackParameters } from './callback-parameters.ts';

const LARGEST_BODY_BYTES = 64 * 1024;

/** The cookies of everything else on localhost come here too. */
const LARGEST_HEADERS_BYTES = 64 * 1024;
const HEADERS_MS = 5_000;
const REQUEST_MS = 10_000;
const CHECK_MS = 500;
const MOST_CONNECTIONS = 64;

/** A free port of 127.0.0.1 may be taken on ::1. */
const MOST_PORTS_TRIED = 8;

/** Where nothing can be listened on because the machine has no such address. */
const NO_SUCH_ADDRESS = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'];

/** Looks at what a browser brought; undefined where it is not what is waited for. An error that it throws ends the login. */
export type CallbackHandler<T> = (values: CallbackParameters) => T | undefined;

/** What is listened for. */
export interface CallbackListenerSettings {
  /** What the browser is sent to: http://, with a loopback host; port 0 stands for a free one. */
  readonly url: string;
  /** A POST brings a form, a GET a query. */
  readonly verb: 'GET' | 'POST';
  /** The only origin whose pages may bring it, where the browser tells. */
  readonly origin?: string;
  /** How to choose another port, in the words of a hint. */
  readonly portHint: string;
  /** For `--verbose`. */
  readonly detail: (message: string) => void;
}

/** An open listener. */
export interface CallbackListener {
  /** What the browser is sent to, with the port that was found. */
  readonly url: string;
  /** Waits for what `accept` takes; nothing is accepted before this is called, and nothing after the first. */
  receive<T>(accept: CallbackHandler<T>): Promise<T>;
  /** Closes every connection at once. */
  close(): void;
}

/** A browser may take localhost for either address, so that both must be ours. */
function addressesOf(hostname: string): readonly string[] {
  if (hostname === 'localhost') return ['127.0.0.1', '::1'];
  return [hostname.replace(/^\[|\]$/g, '')];
}

async function listenAt(server: Server, port: number, address: string): Promise<number> {
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen({ port, host: address, exclusive: true }, () => {
      server.off('error', fail);
      done();
    });
  });
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}

/** Listens on all addresses with one port; undefined where a free port turned out to be taken on one of them. */
async function listenEverywhere(
  make: () => Server,
  addresses: readonly string[],
  wanted: number,
): Promise<{ port: number; servers: Server[] } | undefined> {
  const servers: Server[] = [];
  let port = wanted;
  try {
    for (const address of addresses) {
      const server = make();
      try {
        port = await listenAt(server, port, address);
        servers.push(server);
      } catch (error) {
        const last = address === addresses.at(-1);
        if (!NO_SUCH_ADDRESS.includes(getErrorCode(error)) || (last && servers.length === 0)) throw error;
      }
    }
    return { port, servers };
  } catch (error) {
    for (const server of servers) server.close();
    if (wanted === 0 && getErrorCode(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
}

async function readForm(request: IncomingMessage): Promise<string | undefined> {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? '')) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LARGEST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Whether the browser shows this to the person as a page. Browsers that say so at all say it of every request, and no
 * page can make them say otherwise (Fetch Metadata); a hidden frame, an image or a script is refused.
 */
function isPage(headers: IncomingHttpHeaders): boolean {
  const { 'sec-fetch-mode': mode = 'navigate', 'sec-fetch-dest': dest = 'document' } = headers;
  return mode === 'navigate' && dest === 'document';
}

/**
 * Whether it may come from a page of `origin`. From https:// to http:// browsers say "null", so that this tells only
 * what certainly comes from elsewhere.
 */
function mayComeFrom(origin: string, headers: IncomingHttpHeaders): boolean {
  const { origin: said = 'null', referer } = headers;
  const from = referer !== undefined && URL.canParse(referer) ? new URL(referer).origin : origin;
  return (said === 'null' || said === origin) && from === origin;
}

function answer(response: ServerResponse, ending: CallbackOutcome): void {
  const { status, headers, body } = renderCallbackPage(ending);
  response.writeHead(status, headers).end(body);
}

/**
 * Listens on loopback.
 *
 * @throws ConfigError when the port cannot be had
 */
export async function openCallbackListener({
  url,
  verb,
  origin,
  portHint,
  detail,
}: CallbackListenerSettings): Promise<CallbackListener> {
  const expected = new URL(url);
  let take: ((values: CallbackParameters, response: ServerResponse) => void) | undefined;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s);
    const { host = '' } = request.headers;
    // A host that is not ours is one that an attacker's name server has made lead here (DNS rebinding).
    const ours = host.toLowerCase() === expected.host && path === expected.pathname && request.method === verb;
    if (!ours) {
      answer(response, 'nothing');
      return;
    }
    const from = origin === undefined || mayComeFrom(origin, request.headers);
    const text = !from || !isPage(request.headers) ? undefined : verb === 'GET' ? query : await readForm(request);
    const values = text === undefined ? undefined : parseCallbackParameters(text);
    if (values === undefined)
      detail('the browser brought something that is no answer to this login, or not from there');
    if (values === undefined || take === undefined) answer(response, 'unexpected');
    else take(values, response);
  }

  const make = (): Server => {
    const limits = { maxHeaderSize: LARGEST_HEADERS_BYTES, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS };
    const server = createServer({ ...limits, connectionsCheckingInterval: CHECK_MS }, (request, response) => {
      // Whoever sends half a request and leaves has sent nothing.
      serve(request, response).catch(() => request.destroy());
    });
    server.maxConnections = MOST_CONNECTIONS;
    return server;
  };

  const { port, servers } = await openPort(make, expected, portHint);
  expected.port = String(port);

  return {
    url: expected.href,
    receive: async (accept) =>
      new Promise((done, fail) => {
        take = (values, response) => {
          let finish: () => void;
          let ending: CallbackOutcome;
          try {
            const accepted = accept(values);
            if (accepted === undefined) {
              detail('the browser brought the answer to another login');
              answer(response, 'unexpected');
              return;
            }
            ending = 'done';
            finish = () => {
              done(accepted);
            };
          } catch (error) {
            ending = 'refused';
            finish = () => {
              fail(error instanceof Error ? error : new Error(String(error)));
            };
          }
          take = undefined;
          // The page is sent before everything is closed; a browser that has gone does not matter.
          response.once('close', finish);
          answer(response, ending);
        };
      }),
    close() {
      take = undefined;
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

async function openPort(make: () => Server, url: URL, setting: string): Promise<{ port: number; servers: Server[] }> {
  // A URL that leaves its port out has the one of http://.
  const wanted = url.port === '' ? 80 : Number(url.port);
  try {
    for (let tried = 0; tried < MOST_PORTS_TRIED; tried += 1) {
      const found = await listenEverywhere(make, addressesOf(url.hostname), wanted);
      if (found !== undefined) return found;
    }
    throw new ConfigError(`no port of ${url.hostname} is free for the browser to come back to`);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const why = getErrorCode(error) === 'EADDRINUSE' ? 'another program uses it' : getErrorCode(error);
    throw new ConfigError(`port ${wanted}, which the browser must come back to, cannot be listened on: ${why}`, {
      hint: setting,
      cause: error,
    });
  }
}
