// Runs a real etcd and a real kube-apiserver on loopback. A webhook is its authenticator and, after RBAC, its
// authorizer. The administrator has a token from a file.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import type { Pki } from '../lib/pki.ts';
import type { KubernetesPrograms } from './find-kubernetes.ts';
import { readMinor } from './versions.ts';
import { findFreePort } from '../lib/free-port.ts';
import { endChild, runWithParent, waitUntilReady } from '../lib/server-process.ts';

export interface KubeApiserverOptions {
  readonly programs: KubernetesPrograms;
  readonly dir: string;
  readonly pki: Pki;
  /** A free port. The caller chooses it, because the webhook may have to know it first. */
  readonly port: number;
  /** The port of the webhook, on loopback. */
  readonly webhookPort: number;
  /** How long the API server caches the responses of the webhook, in seconds. */
  readonly cacheSeconds: number;
  /** The same for SubjectAccessReviews, if it differs. */
  readonly accessCacheSeconds?: number;
  /** The version of the reviews; v1 by default. */
  readonly reviewVersion?: 'v1' | 'v1beta1';
  /** Flags that replace or remove (undefined) those that configure authentication and authorization. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
}

export interface KubeApiserver {
  readonly url: string;
  /** Of the API server. */
  readonly pid: number;
  /** In the group system:masters. */
  readonly adminToken: string;
  /** Sends a request with a token. Default: the administrator's token. */
  request(
    path: string,
    options?: { method?: string; body?: unknown; token?: string },
  ): Promise<{ status: number; body: unknown }>;
  stop(): Promise<void>;
}

/** Renders a kubeconfig with one cluster and, with a token, a user. */
export function renderKubeconfig(server: string, ca: string, token?: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority': ca } }],
    users: [{ name: 'user', user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'context', context: { cluster: 'cluster', user: 'user' } }],
    'current-context': 'context',
  });
}

/** Makes the administrator's token, which must exist before the API server starts. */
export function makeAdminToken(): string {
  return randomBytes(16).toString('hex');
}

/** Whether an API server has a port without TLS, which Kubernetes 1.24 removed. */
async function hasInsecurePort(apiServer: string): Promise<boolean> {
  return readMinor(await readVersion(apiServer)) < 24;
}

/** Returns the version of an API server, such as `v1.20.2`. */
export async function readVersion(apiServer: string): Promise<string> {
  const { stdout } = await promisify(execFile)(apiServer, ['--version']);
  return /v[\d.]+/.exec(stdout)?.[0] ?? stdout.trim();
}

/**
 * Starts both and waits until the API server is ready.
 *
 * @throws Error when the API server does not become ready in time
 */
export async function startKubeApiserver(settings: KubeApiserverOptions, adminToken: string): Promise<KubeApiserver> {
  const { programs, dir, pki, port, webhookPort, cacheSeconds } = settings;
  const { accessCacheSeconds = cacheSeconds, reviewVersion = 'v1', flags = {} } = settings;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const place = (name: string): string => join(dir, name);
  // An RSA key would take up to a second.
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(place('sa.key'), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(place('sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(place('tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
  writeFileSync(place('webhook'), renderKubeconfig(`https://127.0.0.1:${webhookPort}/webhook`, pki.ca));
  const [clients, peers] = [await findFreePort(), await findFreePort()];
  const etcdUrl = `http://127.0.0.1:${clients}`;
  const children: ChildProcess[] = [];

  const start = (name: string, program: string, args: KubeApiserverOptions['flags'] = {}): ChildProcess => {
    const log = openSync(place(`${name}.log`), 'a');
    const words = Object.entries(args).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}=${value}`]));
    const [file, ...all] = runWithParent([program, ...words]);
    const child = spawn(file, all, { cwd: dir, stdio: ['ignore', log, log], env: { PATH: process.env['PATH'] } });
    closeSync(log);
    children.push(child);
    return child;
  };
  start('etcd', programs.etcd, {
    'data-dir': place('etcd'),
    'listen-client-urls': etcdUrl,
    'advertise-client-urls': etcdUrl,
    'listen-peer-urls': `http://127.0.0.1:${peers}`,
    'unsafe-no-fsync': 'true',
  });
  const url = `https://127.0.0.1:${port}`;
  const apiServer = start('apiserver', programs.apiServer, {
    'etcd-servers': etcdUrl,
    'bind-address': '127.0.0.1',
    'secure-port': String(port),
    ...((await hasInsecurePort(programs.apiServer)) ? { 'insecure-port': '0' } : {}),
    'tls-cert-file': pki.server.cert,
    'tls-private-key-file': pki.server.key,
    'client-ca-file': pki.ca,
    'service-account-issuer': url,
    'service-account-key-file': place('sa.pub'),
    'service-account-signing-key-file': place('sa.key'),
    'service-cluster-ip-range': '10.96.0.0/16',
    'endpoint-reconciler-type': 'none',
    'disable-admission-plugins': 'ServiceAccount',
    'token-auth-file': place('tokens.csv'),
    'authentication-token-webhook-config-file': place('webhook'),
    'authentication-token-webhook-version': reviewVersion,
    'authentication-token-webhook-cache-ttl': `${cacheSeconds}s`,
    'authorization-mode': 'RBAC,Webhook',
    'authorization-webhook-config-file': place('webhook'),
    'authorization-webhook-version': reviewVersion,
    'authorization-webhook-cache-authorized-ttl': `${accessCacheSeconds}s`,
    'authorization-webhook-cache-unauthorized-ttl': `${accessCacheSeconds}s`,
    ...flags,
  });

  const ca = readFileSync(pki.ca);
  const ask: KubeApiserver['request'] = (path, { method = 'GET', body, token = adminToken } = {}) =>
    new Promise((done, fail) => {
      const sent = request(
        `${url}${path}`,
        { method, ca, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
        (response) => {
          text(response).then((answered) => {
            const isJson = response.headers['content-type']?.includes('json') === true;
            done({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(answered) : answered });
          }, fail);
        },
      );
      sent.once('error', fail);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const killAll = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  // Stops them when this process ends for any reason.
  process.once('exit', killAll);
  const stop = async (): Promise<void> => {
    process.off('exit', killAll);
    // The API server first, because it logs errors without etcd.
    for (const child of children.toReversed()) await endChild(child, { signal: 'SIGKILL' });
  };
  try {
    await waitUntilReady(apiServer, async () => (await ask('/readyz')).status === 200);
    return { url, pid: apiServer.pid ?? 0, adminToken, request: ask, stop };
  } catch (error) {
    await stop();
    const tail = readFileSync(place('apiserver.log'), 'utf8').split('\n').slice(-6).join('\n');
    throw new Error(`kube-apiserver did not start: ${String(error)}\n${tail}`, { cause: error });
  }
}
