/** Runs the built k8s-keystone-auth as kube-apiserver meets it: a process of its own, over TLS. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { makePki } from '../../scripts/pki.ts';
import type { Pki } from '../../scripts/pki.ts';
import { alone } from './plugin.ts';

/** The program, as built by `npm run build`. */
export const WEBHOOK: string = resolve('dist/k8s-keystone-auth.cjs');

export interface Posted {
  readonly status: number;
  /** Parsed where it is JSON. */
  readonly body: unknown;
  readonly ms: number;
}

export interface Asking {
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
  output(): string;
  ask(asking: Asking): Promise<Posted>;
  post(body: unknown, tls?: RequestOptions): Promise<Posted>;
  /** The status of the answer to a TokenReview. */
  reviewToken(token: string, version?: 'v1' | 'v1beta1'): Promise<Record<string, unknown>>;
  /** Sends SIGTERM; the exit status. */
  stop(): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

export interface WebhookOptions {
  readonly keystoneUrl: string;
  /** What to run in place of the built one. */
  readonly program?: readonly [string, ...string[]];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly pki: Pki;
}

/** Certificates of its own for one test file. */
export async function makeTestPki(t: Test): Promise<Pki> {
  return makePki(makeFolder(t));
}

/** A folder that goes when the test is over. */
export function makeFolder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'cka-webhook-'));
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

export function tokenReview(token: string, version = 'v1'): object {
  return { kind: 'TokenReview', apiVersion: `authentication.k8s.io/${version}`, metadata: {}, spec: { token } };
}

/** Starts it on a port of its own, and waits until it listens. */
export async function startWebhookProcess(t: Test, options: WebhookOptions): Promise<WebhookProcess> {
  const { pki } = options;
  const env = { PATH: process.env['PATH'] ?? '', NO_PROXY: '*', OS_AUTH_URL: options.keystoneUrl, ...options.env };
  const own = ['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key];
  const args = ['--listen', '127.0.0.1:0', '--log-level', 'debug', '--shutdown-grace', '1', ...own];
  const [program, ...before] = options.program ?? [process.execPath, WEBHOOK];
  const [file, words, spawning] = alone(program, [...before, ...args, ...(options.args ?? [])], env);
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

  const ask = (asking: Asking): Promise<Posted> =>
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
  const post = (body: unknown, tls?: RequestOptions): Promise<Posted> =>
    ask({
      method: 'POST',
      path: '/webhook',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      ...(tls === undefined ? {} : { tls }),
    });
  return {
    pid: child.pid ?? 0,
    port,
    output: () => output,
    ask,
    post,
    async reviewToken(token, version = 'v1') {
      const { body } = await post(tokenReview(token, version));
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
export function makeGarbage(random: (bytes: number) => Buffer): string {
  return Buffer.concat([Buffer.from([0x80, 0, 0, 0, 0]), random(132)]).toString('base64url');
}
