// Runs a real ORY Hydra with TLS on loopback, and calls its admin API. It keeps everything in memory.

import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import type { JsonWebKey } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { sendRequest } from '../../test/support/send-request.ts';
import { findFreePort } from '../lib/free-port.ts';
import type { GoTools } from '../lib/go-tools.ts';
import type { Pki } from '../lib/pki.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { startProviderProcess } from './provider-process.ts';

export const HYDRA_VERSION = '2.3.0';

export const HYDRA: GoTools = {
  name: 'hydra',
  module: 'github.com/ory/hydra/v2',
  version: `v${HYDRA_VERSION}`,
  sum: 'h1:bPs5MOWmYLZ9C3oQFhhjnaBrExUgF/zf3u1AJVlR//4=',
  packages: ['github.com/ory/hydra/v2'],
  replacements: ['github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b'],
  tags: ['sqlite', 'sqlite_omit_load_extension'],
  usesC: true,
};

/** What kind of access tokens Hydra issues. */
export type AccessTokenKind = 'jwt' | 'opaque';

export interface HydraOptions {
  readonly program: string;
  /** A folder for its files. */
  readonly dir: string;
  readonly pki: Pki;
  readonly accessTokens: AccessTokenKind;
}

export interface Hydra extends ServerProcess {
  readonly issuer: string;
  /** Makes a client. The settings have the names of its API. */
  createClient(settings: Readonly<Record<string, unknown>>): Promise<void>;
}

/** Starts Hydra on 127.0.0.1. It stops with `stop()`, or with this process. */
export async function startHydra({ program, dir, pki, accessTokens }: HydraOptions): Promise<Hydra> {
  const [port, adminPort] = [await findFreePort(), await findFreePort()];
  const issuer = `https://127.0.0.1:${port}`;
  const adminUrl = `https://127.0.0.1:${adminPort}`;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, 'config.json');
  const tls = { enabled: true, cert: { path: pki.server.cert }, key: { path: pki.server.key } };
  const config = {
    dsn: 'memory',
    serve: { public: { host: '127.0.0.1', port }, admin: { host: '127.0.0.1', port: adminPort }, tls },
    urls: { self: { issuer } },
    secrets: { system: [randomBytes(16).toString('hex')] },
    strategies: { access_token: accessTokens },
    ttl: { access_token: '20m' },
    // It must not report anything to its makers.
    sqa: { opt_out: true },
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const isReady = async (): Promise<boolean> =>
    (await sendRequest(`${adminUrl}/health/ready`, { ca: pki.ca })).status === 200 &&
    (await sendRequest(`${issuer}/.well-known/openid-configuration`, { ca: pki.ca })).status === 200;
  const running = await startProviderProcess({
    name: 'hydra',
    program,
    args: ['serve', 'all', '--config', file, '--sqa-opt-out'],
    env: { SQA_OPT_OUT: 'true' },
    dir,
    isReady,
  });
  const callAdmin = async (method: string, path: string, json: unknown): Promise<void> => {
    const { status, body } = await sendRequest(`${adminUrl}/admin${path}`, { method, json, ca: pki.ca });
    if (status > 299) throw new Error(`${method} ${path} at Hydra gave ${status}: ${body}`);
  };
  if (accessTokens === 'jwt') await callAdmin('PUT', '/keys/hydra.jwt.access-token', { keys: [makeKey()] });
  return { ...running, issuer, createClient: (settings) => callAdmin('POST', '/clients', settings) };
}

/** Makes the key for access tokens here. Hydra would at the first login, and not answer within its own time limit. */
function makeKey(): JsonWebKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}
