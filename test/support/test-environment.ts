// The real Keystone that the test runner starts. Without it, each test that needs it is skipped with the reason.

import { test } from 'tap';
import type { Test } from 'tap';

import { findResource } from './resources.ts';
import type { Resources } from './resources.ts';

export type TestEnvironment = Resources['keystone'];

/** Declares a test that needs the real Keystone. */
export function testWithKeystone(name: string, body: (t: Test, environment: TestEnvironment) => Promise<void>): void {
  const environment = findResource('keystone');
  if ('missing' in environment) {
    void test(name, { skip: environment.missing.replaceAll(/\s+/g, ' ') }, () => undefined);
  } else {
    void test(name, (t) => body(t, environment));
  }
}
