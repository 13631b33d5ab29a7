// A proxy in front of a real Keystone that lets the test decide when each response goes on.

import { createServer, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Owner } from './webhook-client.ts';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { listenForTest } from './listen-for-test.ts';

export interface DelayingProxy {
  /** Without `/v3`. */
  readonly url: string;
  /** `METHOD PATH`, without the query. */
  readonly requests: readonly string[];
  /** Takes each response and decides when it is sent. It also gets `METHOD PATH` of the request. */
  holdBack: (respond: () => void, line: string) => void;
}

/** Starts a proxy on 127.0.0.1 that stops after the test. */
export async function startDelayingProxy(t: Owner, target: { readonly url: string }): Promise<DelayingProxy> {
  const requests: string[] = [];
  const proxy: DelayingProxy & { url: string } = {
    url: '',
    requests,
    holdBack: (respond) => {
      respond();
    },
  };
  const server = createServer((incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    const line = `${method} ${path.split('?', 1)[0] ?? ''}`;
    requests.push(line);
    const forwarded = request(target.url + path, { method, headers }, (response) => {
      void buffer(response).then((body) => {
        proxy.holdBack(() => {
          outgoing.writeHead(response.statusCode ?? 502, response.headers).end(body);
        }, line);
      });
    }).once('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  });
  waitForClients(server);
  proxy.url = `http://127.0.0.1:${await listenForTest(t, server)}`;
  return proxy;
}
