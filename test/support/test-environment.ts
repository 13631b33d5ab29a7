// What the test runner sets up for all tests: a real Keystone with three addresses for the same users. Without a
// Keystone, each test that needs it is skipped with the reason.

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
  /** With the certificate `pki.server`; accepts client certificates of `pki.ca`. */
  readonly tls: KeystoneAddress;
  /** With the certificate `pki.server`; requires a client certificate of `pki.ca`. */
  readonly mutualTls: KeystoneAddress;
  readonly pki: Pki;
  readonly tenancy: Tenancy;
  /** Set if a test file of this run imports federation.ts and Apache is available. */
  readonly federation?: FederationAddress;
}

export interface LoggedRequest {
  readonly method: string;
  /** Without the prefix of the watched address, with the query. */
  readonly path: string;
  readonly status: number;
  /** The common name of the client certificate. */
  readonly clientName: string | undefined;
}

/** An address of the server for one test, so that its requests can be counted while other tests run. */
export interface WatchedAddress {
  /** Replaces the URL of the server; without `/v3`. */
  readonly url: string;
  readonly prefix: string;
  readonly accessLog: string;
}

/** Reads what the runner has set up; undefined without a Keystone. */
export function readTestEnvironment(): TestEnvironment | undefined {
  const file = process.env['CKA_TEST_ENVIRONMENT'];
  return file === undefined ? undefined : (JSON.parse(readFileSync(file, 'utf8')) as TestEnvironment);
}

/** Declares a test that needs the real Keystone. */
export function testWithKeystone(name: string, body: (t: Test, environment: TestEnvironment) => Promise<void>): void {
  const environment = readTestEnvironment();
  if (environment === undefined) {
    const reason = process.env['CKA_KEYSTONE_MISSING'] ?? 'there is no Keystone; run the tests with npm test';
    void test(name, { skip: reason.replaceAll(/\s+/g, ' ') }, () => undefined);
  } else {
    void test(name, (t) => body(t, environment));
  }
}

/** Makes an address for one test: the same Keystone below a path of its own. Only requests to its `url` are counted. */
export function watchRequests(server: Pick<KeystoneAddress, 'url' | 'accessLog'>): WatchedAddress {
  const prefix = `/of-${randomBytes(6).toString('hex')}`;
  return { url: server.url + prefix, prefix, accessLog: server.accessLog };
}

/** Lists the requests to an address, the oldest first. The server logs a request before it responds. */
export function listRequests(address: WatchedAddress): readonly LoggedRequest[] {
  const lines = readFileSync(address.accessLog, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, method, path, status, name] = /^(\S+) (\S+) (\d+) cn=(.*)$/.exec(line) ?? [];
    if (method === undefined || path === undefined || !isBelow(path, address.prefix)) return [];
    const clientName = name === '-' ? undefined : name;
    return [{ method, path: path.slice(address.prefix.length), status: Number(status), clientName }];
  });
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && /^(?:[/?]|$)/.test(path.slice(prefix.length));
}
