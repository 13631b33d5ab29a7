/** Runs the built k8s-keystone-auth as kube-apiserver meets it: a process of its own, over TLS. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { makeIsolatedCommand } from './run-plugin.ts';

/** The program, as built by `npm run build`. */
export const WEBHOOK_PATH: string = resolve('dist/k8s-keystone-auth.cjs');

export interface WebhookResponse {
  readonly status: number;
  /** Parsed where it is JSON. */
  readonly body: unknown;
  readonly ms: number;
}

export interface WebhookRequest {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: RequestOptions;
}

export interface WebhookProcess {
  readonly pid: number;
  readonly port: number;
  /** Everything it has written. */
  readOutput(): string;
  sendRequest(asking: WebhookRequest): Promise<WebhookResponse>;
  postReview(body: unknown, tls?: RequestOptions): Promise<WebhookResponse>;
  /** The status of the answer to a TokenReview. */
  reviewToken(token: string, version?: 'v1' | 'v1beta1'): Promise<Record<string, unknown>>;
  /** Sends SIGTERM; the exit status. */
  stop(): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

export interface WebhookOptions {
  readonly keystoneUrl: string;
  /** What to run in place of the built one. */
  readonly command?: readonly [string, ...string[]];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly pki: Pki;
}

/** Certificates of its own for one test file. */
export async function makeTestPki(t: Test): Promise<Pki> {
  return makePki(makeTestFolder(t));
}

/** A folder that goes when the test is over. */
export function makeTestFolder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'cka-webhook-'));
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

export function makeTokenReview(token: string, version = 'v1'): object {
  return { kind: 'TokenReview', apiVersion: `authentication.k8s.io/${version}`, metadata: {}, spec: { token } };
}

/** Starts it on a port of its own, and waits until it listens. */
export async function startWebhookProcess(t: Test, options: WebhookOptions): Promise<WebhookProcess> {
  const { pki } = options;
  const env = { PATH: process.env['PATH'] ?? '', NO_PROXY: '*', OS_AUTH_URL: options.keystoneUrl, ...options.env };
  const own = ['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key];
  const args = ['--listen', '127.0.0.1:0', '--log-level', 'debug', '--shutdown-grace', '1', ...own];
  const [program, ...before] = options.command ?? [process.execPath, WEBHOOK_PATH];
  const [file, words, spawning] = makeIsolatedCommand(program, [...before, ...args, ...(options.args ?? [])], env);
  const child = spawn(file, words, { ...spawning, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const ended = new Promise<number | null>((done) => {
    child.once('close', (status) => {
      done(status);
    });
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const port = await new Promise<number>((found, fail) => {
    const listen = (chunk: string): void => {
      output += chunk;
      const listening = /"port":(\d+).*"listening"/.exec(output)?.[1];
      if (listening !== undefined) found(Number(listening));
    };
    child.stdout.setEncoding('utf8').on('data', listen);
    child.stderr.setEncoding('utf8').on('data', listen);
    child.once('close', (status) => {
      fail(new Error(`the webhook ended with ${String(status)}: ${output}`));
    });
  });
  const ca = readFileSync(pki.ca);
  const agent = new Agent({ keepAlive: true, maxSockets: 64, ca });
  t.teardown(() => {
    agent.destroy();
  });

  const sendRequest = (asking: WebhookRequest): Promise<WebhookResponse> =>
    new Promise((done, fail) => {
      const { method = 'GET', path = '/', body, headers = {}, tls } = asking;
      const startedAt = performance.now();
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          ca,
          headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
          ...(tls === undefined ? { agent } : { ...tls, agent: false }),
        },
        (response) => {
          text(response).then((answered) => {
            const ms = performance.now() - startedAt;
            done({ status: response.statusCode ?? 0, body: parse(answered), ms });
          }, fail);
        },
      );
      sent.once('error', fail);
      sent.end(body);
    });
  const postReview = (body: unknown, tls?: RequestOptions): Promise<WebhookResponse> =>
    sendRequest({
      method: 'POST',
      path: '/webhook',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      ...(tls === undefined ? {} : { tls }),
    });
  return {
    pid: child.pid ?? 0,
    port,
    readOutput: () => output,
    sendRequest,
    postReview,
    async reviewToken(token, version = 'v1') {
      const { body } = await postReview(makeTokenReview(token, version));
      return (body as { status: Record<string, unknown> }).status;
    },
    async stop() {
      child.kill('SIGTERM');
      return ended;
    },
    ended,
  };
}

function parse(answered: string): unknown {
  try {
    return JSON.parse(answered);
  } catch {
    return answered;
  }
}

/** Something shaped like a Fernet token that no Keystone has made. */
export function makeFakeToken(random: (bytes: number) => Buffer): string {
  return Buffer.concat([Buffer.from([0x80, 0, 0, 0, 0]), random(132)]).toString('base64url');
}
