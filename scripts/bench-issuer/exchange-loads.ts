/** Exchanges at the issuer, and TokenReviews at the webhook, with the same stand-in for Keystone. */
import { expectText, forDuration, generateLoad, summarize } from '../../test/support/load-generator.ts';
import type { LoadResult, LoadTarget } from '../../test/support/load-generator.ts';
import { openHttp1Channels } from '../../test/support/load-over-http1.ts';
import { encodeForm, makeForm, writeFormRequest } from '../../test/support/issuer-settings.ts';
import { makeTokenReview } from '../../test/support/webhook-client.ts';
import type { BenchCase } from './rounds.ts';

/** Cases of these names are compared. */
export const EXCHANGES = {
  knownReview: 'TokenReview of a known token',
  newReview: 'TokenReview of a new token',
  knownExchange: 'exchange of a known token',
  newExchange: 'exchange of a new token',
  newExchangeRsa: 'exchange of a new token, with RS256',
  pluginExchange: 'exchange of a new token, as the plugin does it',
} as const;

const CONNECTIONS = 64;

/** Each run of the plugin has a connection of its own, and a process that needs longer than the exchange. */
const PLUGINS = 16;

const SLICE_MS = 1_000;

interface Server {
  readonly pid: number;
  readonly port: number;
}

export interface ExchangeLoadSettings {
  readonly webhook: Server;
  readonly issuer: Server;
  /** The same issuer with another kind of key. */
  readonly rsaIssuer: Server;
  readonly ca: Buffer;
  /** Makes a token that no server knows. */
  readonly issueToken: () => string;
  readonly countQuestions: () => number;
}

/** Writes an exchange for the token that is the body. */
const writeExchange = (token: string): string => writeFormRequest('/token', encodeForm(makeForm(token)));

const writeDiscovery = (): string => 'GET /.well-known/openid-configuration HTTP/1.1\r\nhost: x\r\n\r\n';

/** Sends what one run of the plugin sends: discovery and an exchange, on a connection of its own. */
async function exchangeOnce(target: LoadTarget, token: string): Promise<void> {
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  const open = async (): Promise<void> => {
    let isDiscovery = true;
    const writeRequest = (body: string): string => (isDiscovery ? writeDiscovery() : writeExchange(body));
    const [channel] = await openHttp1Channels({ ...target, writeRequest }, 1, fail);
    if (channel === undefined) throw new Error('no connection was opened');
    const send = (body: string): Promise<string> =>
      new Promise((resolve) => {
        channel.send(body, resolve);
      });
    expectText('discovery', '"token_endpoint"')(await send(''));
    isDiscovery = false;
    expectText('exchange', '"access_token"')(await send(token));
    channel.close();
  };
  await Promise.race([open(), failed]);
}

async function measurePlugins(target: LoadTarget, issueToken: () => string): Promise<LoadResult> {
  const times: number[] = [];
  const startedAt = performance.now();
  const run = async (): Promise<void> => {
    while (performance.now() - startedAt < SLICE_MS) {
      const sentAt = performance.now();
      await exchangeOnce(target, issueToken());
      times.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: PLUGINS }, run));
  return summarize(times, (performance.now() - startedAt) / 1_000);
}

/** The cases. */
export function listExchangeCases(settings: ExchangeLoadSettings): readonly BenchCase[] {
  const { webhook, issuer, rsaIssuer, ca, issueToken, countQuestions } = settings;
  const known = issueToken();
  const review = (name: string, makeToken: () => string): BenchCase => ({
    name,
    pids: { server: webhook.pid },
    countQuestions,
    measure: () =>
      generateLoad({
        port: webhook.port,
        ca,
        connections: CONNECTIONS,
        nextBody: forDuration(SLICE_MS, () => JSON.stringify(makeTokenReview(makeToken()))),
        onResponse: expectText(name, '"authenticated":true'),
      }),
  });
  const exchange = (name: string, server: Server, makeToken: () => string): BenchCase => ({
    name,
    pids: { server: server.pid },
    countQuestions,
    measure: () =>
      generateLoad({
        port: server.port,
        ca,
        connections: CONNECTIONS,
        writeRequest: writeExchange,
        nextBody: forDuration(SLICE_MS, makeToken),
        onResponse: expectText(name, '"access_token"'),
      }),
  });
  return [
    review(EXCHANGES.knownReview, () => known),
    review(EXCHANGES.newReview, issueToken),
    exchange(EXCHANGES.knownExchange, issuer, () => known),
    exchange(EXCHANGES.newExchange, issuer, issueToken),
    exchange(EXCHANGES.newExchangeRsa, rsaIssuer, issueToken),
    {
      name: EXCHANGES.pluginExchange,
      pids: { server: issuer.pid },
      countQuestions,
      measure: () => measurePlugins({ port: issuer.port, ca }, issueToken),
    },
  ];
}
