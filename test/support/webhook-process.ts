/** Runs the built k8s-keystone-auth as a process, and sends it requests over TLS as kube-apiserver does. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { WEBHOOK_PATH } from './built-programs.ts';
import { makeIsolatedCommand } from './run-plugin.ts';

export interface WebhookResponse {
  readonly status: number;
  /** Parsed if it is JSON, else text. */
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
  /** Its output so far. */
  readOutput(): string;
  sendRequest(request: WebhookRequest): Promise<WebhookResponse>;
  postReview(body: unknown, tls?: RequestOptions): Promise<WebhookResponse>;
  /** Sends a TokenReview and returns the status in the response. */
  reviewToken(token: string, version?: 'v1' | 'v1beta1'): Promise<Record<string, unknown>>;
  /** Sends SIGTERM and returns the exit status. */
  stop(): Promise<number | null>;
  /** Resolves to the exit status. */
  readonly exitStatus: Promise<number | null>;
}

export interface WebhookOptions {
  readonly keystoneUrl: string;
  /** What to run instead of the built program. */
  readonly command?: readonly [string, ...string[]];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly pki: Pki;
}

/** Makes certificates for one test file. */
export async function makeTestPki(t: Test): Promise<Pki> {
  return makePki(makeTestFolder(t));
}

/** Makes a folder that is removed after the test. */
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

/** Starts the webhook on a free port and waits until it listens. */
export async function startWebhookProcess(t: Test, options: WebhookOptions): Promise<WebhookProcess> {
  const { pki } = options;
  const env = { PATH: process.env['PATH'] ?? '', NO_PROXY: '*', OS_AUTH_URL: options.keystoneUrl, ...options.env };
  const tlsArgs = ['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key];
  const args = ['--listen', '127.0.0.1:0', '--log-level', 'debug', '--shutdown-grace', '1', ...tlsArgs];
  const [program, ...programArgs] = options.command ?? [process.execPath, WEBHOOK_PATH];
  const [file, fileArgs, spawnOptions] = makeIsolatedCommand(
    program,
    [...programArgs, ...args, ...(options.args ?? [])],
    env,
  );
  const child = spawn(file, fileArgs, { ...spawnOptions, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const exitStatus = new Promise<number | null>((resolve) => {
    child.once('close', (status) => {
      resolve(status);
    });
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exitStatus;
  });
  const port = await new Promise<number>((resolve, reject) => {
    const onOutput = (chunk: string): void => {
      output += chunk;
      const listeningPort = /"port":(\d+).*"listening"/.exec(output)?.[1];
      if (listeningPort !== undefined) resolve(Number(listeningPort));
    };
    child.stdout.setEncoding('utf8').on('data', onOutput);
    child.stderr.setEncoding('utf8').on('data', onOutput);
    child.once('close', (status) => {
      reject(new Error(`the webhook ended with ${String(status)}: ${output}`));
    });
  });
  const ca = readFileSync(pki.ca);
  const agent = new Agent({ keepAlive: true, maxSockets: 64, ca });
  t.teardown(() => {
    agent.destroy();
  });

  const sendRequest = (webhookRequest: WebhookRequest): Promise<WebhookResponse> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', path = '/', body, headers = {}, tls } = webhookRequest;
      const startedAt = performance.now();
      const outgoing = request(
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
          text(response).then((responseBody) => {
            const ms = performance.now() - startedAt;
            resolve({ status: response.statusCode ?? 0, body: parseBody(responseBody), ms });
          }, reject);
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
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
      return exitStatus;
    },
    exitStatus,
  };
}

function parseBody(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** Makes a token in the shape of a Fernet token that Keystone does not know. */
export function makeFakeToken(random: (bytes: number) => Buffer): string {
  return Buffer.concat([Buffer.from([0x80, 0, 0, 0, 0]), random(132)]).toString('base64url');
}
