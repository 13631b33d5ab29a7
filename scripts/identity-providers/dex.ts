// Runs a real Dex with TLS on loopback. It keeps everything in memory.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { sendRequest } from '../../test/support/send-request.ts';
import { findFreePort } from '../lib/free-port.ts';
import type { GoTools } from '../lib/go-tools.ts';
import type { Pki } from '../lib/pki.ts';
import type { ServerProcess } from '../lib/server-process.ts';
import { startProviderProcess } from './provider-process.ts';

/**
 * Go's module proxy has Dex only by the time of a commit, because its tags are not versions for Go, and an older version of
 * its administrative API, which the tests do not use.
 */
export const DEX: GoTools = {
  name: 'dex',
  module: 'github.com/dexidp/dex',
  version: 'v0.0.0-20250829100637-2dce75009acf',
  sum: 'h1:O+VbO9TSI8wFEO+hc7xYVJyBYN4c4+d2xTzg0Fu1X38=',
  packages: ['github.com/dexidp/dex/cmd/dex'],
  omissions: { 'server/api.go': /^func \(d dexAPI\) ListClients\([^]*?^}\n/m },
};

export interface DexOptions {
  readonly program: string;
  /** A folder for its files. */
  readonly dir: string;
  readonly pki: Pki;
  /** Chosen if it is omitted. */
  readonly port?: number;
  /** The configuration, without issuer, storage and addresses. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface Dex extends ServerProcess {
  readonly issuer: string;
}

/** Starts Dex on 127.0.0.1. It stops with `stop()`, or with this process. */
export async function startDex(options: DexOptions): Promise<Dex> {
  const { program, dir, pki, config, port = await findFreePort() } = options;
  const address = `127.0.0.1:${port}`;
  const issuer = `https://${address}/dex`;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, 'config.json');
  const own = {
    issuer,
    storage: { type: 'memory' },
    web: { https: address, tlsCert: pki.server.cert, tlsKey: pki.server.key },
  };
  await writeFile(file, JSON.stringify({ ...config, ...own }), { mode: 0o600 });
  const isReady = async (): Promise<boolean> =>
    (await sendRequest(`${issuer}/.well-known/openid-configuration`, { ca: pki.ca })).status === 200;
  const running = await startProviderProcess({ name: 'dex', program, args: ['serve', file], dir, isReady });
  return { issuer, ...running };
}
