// What the test runner has set up for all tests: a real Keystone on three addresses over the same users.
// Where there is none, tests that need it are skipped by name and with the reason, never silently.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { test } from 'tap';
import type { Test } from 'tap';

import type { FederationAddress } from '../../scripts/federation/federation.ts';
import type { KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { Tenancy } from './tenancy.ts';

export interface TestEnvironment {
  /** Plain http. */
  readonly http: KeystoneAddress;
  /** `pki.server`; a client certificate of `pki.ca` is welcome. */
  readonly tls: KeystoneAddress;
  /** `pki.server`; a client certificate of `pki.ca` is required. */
  readonly mutualTls: KeystoneAddress;
  readonly pki: Pki;
  readonly tenancy: Tenancy;
  /** Where a file of the run imports federation.ts, and there is an Apache. */
  readonly federation?: FederationAddress;
}

export interface LoggedRequest {
  readonly method: string;
  /** Without the prefix of the watched address, with the query. */
  readonly path: string;
  readonly status: number;
  /** Common name of the client certificate. */
  readonly clientName: string | undefined;
}

/** An address of its own for one test, so that its requests can be counted while other tests run. */
export interface WatchedAddress {
  /** To be used in place of the server's; without `/v3`. */
  readonly url: string;
  readonly prefix: string;
  readonly accessLog: string;
}

/** What the runner has set up, or undefined where there is no Keystone. */
export function readTestEnvironment(): TestEnvironment | undefined {
  const file = process.env['CKA_TEST_ENVIRONMENT'];
  return file === undefined ? undefined : (JSON.parse(readFileSync(file, 'utf8')) as TestEnvironment);
}

/** Declares a test that needs the real Keystone. */
export function testWithKeystone(name: string, body: (t: Test, world: TestEnvironment) => Promise<void>): void {
  const present = readTestEnvironment();
  if (present === undefined) {
    const reason = process.env['CKA_KEYSTONE_MISSING'] ?? 'no Keystone: these tests are run by npm test';
    void test(name, { skip: reason.replaceAll(/\s+/g, ' ') }, () => undefined);
  } else {
    void test(name, (t) => body(t, present));
  }
}

/** Starts counting. Only requests to the returned `url` count; it reaches the same Keystone below a path of its own. */
export function watchRequests(server: Pick<KeystoneAddress, 'url' | 'accessLog'>): WatchedAddress {
  const prefix = `/of-${randomBytes(6).toString('hex')}`;
  return { url: server.url + prefix, prefix, accessLog: server.accessLog };
}

/** The requests to the address of `mark`, the oldest first. They are in the log before their answers are sent. */
export function listRequests(mark: WatchedAddress): readonly LoggedRequest[] {
  const lines = readFileSync(mark.accessLog, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, method, path, status, name] = /^(\S+) (\S+) (\d+) cn=(.*)$/.exec(line) ?? [];
    if (method === undefined || path === undefined || !isBelow(path, mark.prefix)) return [];
    const clientName = name === '-' ? undefined : name;
    return [{ method, path: path.slice(mark.prefix.length), status: Number(status), clientName }];
  });
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && /^(?:[/?]|$)/.test(path.slice(prefix.length));
}
