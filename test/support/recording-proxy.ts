/** A proxy in front of an API server that ends TLS and keeps everything that clients send. */
import { readFileSync } from 'node:fs';
import { createServer, request as sendRequest } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Pki } from '../../scripts/lib/pki.ts';
import { waitForClients } from '../../scripts/lib/patient-server.ts';
import { listenForTest } from './listen-for-test.ts';
import type { Owner } from './webhook-client.ts';

export interface RecordingProxy {
  readonly url: string;
  /** What clients have sent so far: request lines, headers and bodies. */
  read(): string;
  countRequests(): number;
  /** The statuses of the answers. */
  readonly statuses: readonly number[];
}

/** Starts a proxy on 127.0.0.1 that stops after the test. */
export async function startRecordingProxy(t: Owner, pki: Pki, target: string): Promise<RecordingProxy> {
  const recorded: Buffer[] = [];
  const statuses: number[] = [];
  let count = 0;
  const ca = readFileSync(pki.ca);
  const pass = (message: IncomingMessage, response: ServerResponse): void => {
    count += 1;
    const { method = '', url = '', rawHeaders, headers } = message;
    recorded.push(Buffer.from([method, url, ...rawHeaders, ''].join('\n')));
    message.on('data', (chunk: Buffer) => recorded.push(chunk));
    const upstream = sendRequest(target + url, { method, headers, ca, agent: false }, (answer) => {
      statuses.push(answer.statusCode ?? 0);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    upstream.on('error', () => response.destroy());
    response.once('close', () => upstream.destroy());
    message.pipe(upstream);
  };
  const server = createServer({ cert: readFileSync(pki.server.cert), key: readFileSync(pki.server.key) }, pass);
  const port = await listenForTest(t, waitForClients(server));
  return {
    url: `https://127.0.0.1:${port}`,
    read: () => Buffer.concat(recorded).toString('latin1'),
    countRequests: () => count,
    statuses,
  };
}
