// The real Keystone that the test runner starts. Without it, each test that needs it is skipped with the reason.

import { test } from 'tap';
import type { Test } from 'tap';

import { findResource } from './resources.ts';
import type { Missing, Resources } from './resources.ts';

export type TestEnvironment = Resources['keystone'];

/** Returns the real Keystone, or why there is none. */
export function findTestEnvironment(): TestEnvironment | Missing {
  return findResource('keystone');
}

/** Declares a test that needs the real Keystone. */
export function testWithKeystone(name: string, body: (t: Test, environment: TestEnvironment) => Promise<void>): void {
  const environment = findTestEnvironment();
  if ('missing' in environment) {
    void test(name, { skip: environment.missing.replaceAll(/\s+/g, ' ') }, () => undefined);
  } else {
    void test(name, (t) => body(t, environment));
  }
}
