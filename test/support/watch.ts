/** A watch of a real API server, over connections of its own. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { Owner } from './webhook-client.ts';

export interface Watch {
  readonly status: number;
  /** The names of the objects whose events have arrived. */
  listNames(): readonly string[];
  /** Whether the API server has ended it. */
  hasEnded(): boolean;
}

export interface WatchSettings {
  readonly url: string;
  readonly pki: Pki;
  readonly token: string;
  readonly path: string;
}

function get(t: Owner, { url, pki, token, path }: WatchSettings): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request(url + path, { ca: readFileSync(pki.ca), agent: false, headers }, resolve);
    t.teardown(() => sent.destroy());
    sent.on('error', reject).end();
  });
}

/**
 * Lists objects, watches them from there, as clients do, and waits for the head of the answer. The watch ends after the
 * test. Without the version of a list, an API server since 1.31 asks etcd for its progress, which the etcd of Debian 12 does
 * not tell; the watch would end with the event "Too large resource version".
 */
export async function startWatch(t: Owner, settings: WatchSettings): Promise<Watch> {
  const list = await get(t, settings);
  const { metadata } = (await json(list)) as { readonly metadata: { readonly resourceVersion?: string } };
  if (list.statusCode !== 200) return { status: list.statusCode ?? 0, listNames: () => [], hasEnded: () => true };
  const path = `${settings.path}?watch=1&resourceVersion=${metadata.resourceVersion ?? ''}`;
  const response = await get(t, { ...settings, path });
  let received = '';
  let hasEnded = false;
  response.setEncoding('utf8').on('data', (chunk: string) => (received += chunk));
  response.once('close', () => (hasEnded = true));
  response.on('error', () => undefined);
  return {
    status: response.statusCode ?? 0,
    listNames: () => [...received.matchAll(/"metadata":\{"name":"([^"]+)"/g)].map(([, name]) => name ?? ''),
    hasEnded: () => hasEnded,
  };
}
