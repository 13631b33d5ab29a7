/** A watch of a real API server, over a connection of its own. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { Owner } from './webhook-client.ts';

export interface Watch {
  readonly status: number;
  /** The names of the objects whose events have arrived. */
  listNames(): readonly string[];
  /** Whether the API server has ended it. */
  hasEnded(): boolean;
}

/** Starts a watch, which ends after the test, and waits for the head of the answer. */
export function startWatch(
  t: Owner,
  { url, pki, token, path }: { readonly url: string; readonly pki: Pki; readonly token: string; readonly path: string },
): Promise<Watch> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request(`${url}${path}?watch=1`, { ca: readFileSync(pki.ca), agent: false, headers }, (response) => {
      let received = '';
      let hasEnded = false;
      response.setEncoding('utf8').on('data', (chunk: string) => (received += chunk));
      response.once('close', () => (hasEnded = true));
      response.on('error', () => undefined);
      resolve({
        status: response.statusCode ?? 0,
        listNames: () => [...received.matchAll(/"metadata":\{"name":"([^"]+)"/g)].map(([, name]) => name ?? ''),
        hasEnded: () => hasEnded,
      });
    });
    t.teardown(() => sent.destroy());
    sent.on('error', reject).end();
  });
}
