/** A real Dex for each test, which the test starts itself: Dex keeps everything in memory and is there in a moment. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { DEX, startDex } from '../../scripts/identity-providers/dex.ts';
import type { Dex } from '../../scripts/identity-providers/dex.ts';
import { findGoToolPath } from '../../scripts/lib/go-tools.ts';
import type { EnvVars } from './home.ts';
import { skipWithout } from './missing-tools.ts';
import type { DEX_RESULTS } from './provider-results.ts';
import { PUBLIC_CLIENT } from './provider-user.ts';
import type { ProviderAddress } from './provider-user.ts';
import { makeTestFolder, shareTestPki } from './webhook-settings.ts';

/** What Dex calls its configuration. */
type DexConfig = Readonly<Record<string, unknown>>;

/** A Dex that a test can stop and start again, at the same address. */
export interface TestDex extends ProviderAddress {
  stop(): Promise<void>;
  /** Starts it again after `stop`. It has forgotten everything. */
  start(): Promise<void>;
}

/** A user in the configuration of Dex, as in Kyma. Such users have no groups. */
export const ALICE = { name: 'alice@acme.example', password: 'p@ss w0rd&+=%é' };
const ALICE_HASH = '$2b$10$abcdefghijklmnopqrstuuySifYBj2zEUrqT3kdycQ1DfQtzwLmhe';

export const CONFIDENTIAL_CLIENT = { id: 'confidential', secret: 'r+b/t%20:&=' };

/** The settings of a program that logs in as this client. */
export const AS_CONFIDENTIAL: EnvVars = {
  OS_CLIENT_ID: CONFIDENTIAL_CLIENT.id,
  OS_CLIENT_SECRET: CONFIDENTIAL_CLIENT.secret,
};

const CLIENTS = [
  { id: PUBLIC_CLIENT, name: 'kubectl', public: true },
  { ...CONFIDENTIAL_CLIENT, name: 'Program', redirectURIs: ['http://127.0.0.1/callback'] },
];

const LOCAL_USERS: DexConfig = {
  enablePasswordDB: true,
  staticPasswords: [{ email: ALICE.name, hash: ALICE_HASH, username: 'alice', userID: 'alice-of-acme' }],
  oauth2: { passwordConnector: 'local' },
};

/** A connector that knows one user, of the group `authors`, and asks for nothing. */
export const USERS_OF_CONNECTOR: DexConfig = {
  enablePasswordDB: false,
  staticPasswords: [],
  oauth2: {},
  connectors: [{ type: 'mockCallback', id: 'mock', name: 'Mock' }],
};

/**
 * Declares a test with a Dex of its own.
 *
 * @param config replaces parts of the configuration
 */
export function testWithDex(
  name: keyof typeof DEX_RESULTS,
  body: (t: Test, dex: TestDex) => Promise<void>,
  config: DexConfig = {},
): void {
  const program = findGoToolPath(DEX, DEX.name);
  const skip = skipWithout('Dex (scripts/build-identity-providers.ts)', () => existsSync(program));
  void test(name, { skip }, async (t) => {
    const pki = await shareTestPki();
    const dir = join(makeTestFolder(t), 'dex');
    const options = { program, dir, pki, config: { staticClients: CLIENTS, ...LOCAL_USERS, ...config } };
    let dex: Dex = await startDex(options);
    t.teardown(() => dex.stop());
    const { issuer } = dex;
    await body(t, {
      issuer,
      ca: pki.ca,
      stop: () => dex.stop(),
      async start() {
        dex = await startDex({ ...options, port: Number(new URL(issuer).port) });
      },
    });
  });
}
