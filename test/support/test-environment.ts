// What the test runner sets up for all tests: a real Keystone with three addresses for the same users. Without a
// Keystone, each test that needs it is skipped with the reason.

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
