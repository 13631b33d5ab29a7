// A load generator that uses little CPU time, because it runs on the machine that it measures: it writes prepared
// requests, and of a response it parses only what it needs.

import { openHttp1Channels, openPooledChannels } from './load-over-http1.ts';
import { openHttp2Channels } from './load-over-http2.ts';

/** How a client connects. */
export type LoadClient =
  /** One connection of HTTP/1.1 for each request at a time. */
  | 'http/1.1'
  /** As client-go: it keeps 25 idle connections of HTTP/1.1 and closes the others. */
  | 'http/1.1-pool'
  /** As client-go: up to 250 requests at a time on one connection of HTTP/2. */
  | 'h2';

export interface LoadTarget {
  readonly port: number;
  readonly ca: Buffer;
  /** Writes a request of HTTP/1.1; a review by default. */
  readonly writeRequest?: (body: string) => string;
}

/** Sends one request at a time. */
export interface Channel {
  /** Takes the body of the response. */
  send(body: string, onResponse: (body: string) => void): void;
  close(): void;
}

export interface LoadOptions extends LoadTarget {
  /** Requests at a time. */
  readonly connections: number;
  readonly client?: LoadClient;
  /** The longest pause between a response and the next request, in ms; none by default. */
  readonly maxPauseMs?: number;
  /** Returns the body of the next request, or undefined after the last one. */
  readonly nextBody: (connection: number) => string | undefined;
  /** Takes the body of each response, and that of its request. */
  readonly onResponse: (body: string, requestBody: string) => void;
}

/** Makes a `nextBody` that ends after so many ms. They run from the first request: not before the connections are open. */
export function forDuration(ms: number, makeBody: LoadOptions['nextBody']): LoadOptions['nextBody'] {
  let end: number | undefined;
  return (connection) => {
    end ??= performance.now() + ms;
    return performance.now() < end ? makeBody(connection) : undefined;
  };
}

/** Makes an `onResponse` that fails unless the body contains a text. */
export function expectText(what: string, expected: string): (body: string) => void {
  return (body) => {
    if (!body.includes(expected)) throw new Error(`${what}: ${body}`);
  };
}

export interface LoadResult {
  readonly responseCount: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/**
 * Summarizes what was measured.
 *
 * @param times of the responses, in ms
 * @param seconds that all of them took
 */
export function summarize(times: readonly number[], seconds: number): LoadResult {
  const sorted = times.toSorted((one, other) => one - other);
  const percentile = (fraction: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? 0;
  return {
    responseCount: sorted.length,
    perSecond: sorted.length / seconds,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    maxMs: percentile(1),
  };
}

/** Opens channels; `fail` receives the error of a connection. */
export type OpenChannels = (
  target: LoadTarget,
  count: number,
  fail: (error: Error) => void,
) => Promise<readonly Channel[]>;

const OPENERS: Readonly<Record<LoadClient, OpenChannels>> = {
  'http/1.1': openHttp1Channels,
  'http/1.1-pool': openPooledChannels,
  h2: openHttp2Channels,
};

/** Opens the channels, and then sends requests one after the other on each of them, until there are no more. */
export async function generateLoad(options: LoadOptions): Promise<LoadResult> {
  const { connections, client = 'http/1.1', maxPauseMs = 0, nextBody, onResponse } = options;
  const times: number[] = [];
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  const runChannel = (channel: Channel, connection: number): Promise<void> =>
    new Promise((resolve) => {
      const send = (): void => {
        const body = nextBody(connection);
        if (body === undefined) {
          resolve();
          return;
        }
        const sentAt = performance.now();
        channel.send(body, (response) => {
          times.push(performance.now() - sentAt);
          try {
            onResponse(response, body);
          } catch (error) {
            fail(error instanceof Error ? error : new Error(String(error)));
            return;
          }
          if (maxPauseMs === 0) send();
          else setTimeout(send, Math.random() * maxPauseMs);
        });
      };
      send();
    });
  const channels = await Promise.race([
    OPENERS[client](options, connections, (error) => {
      fail(error);
    }),
    failed,
  ]);
  const startedAt = performance.now();
  await Promise.race([Promise.all(channels.map(runChannel)), failed]);
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const channel of channels) channel.close();
  return summarize(times, seconds);
}
