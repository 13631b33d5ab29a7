/** Sets up alice, who logs in to the project demo at the real Keystone. */
import type { Test } from 'tap';
import { setUp } from './fixture.ts';
import type { Fixture, Needs } from './fixture.ts';
import { asAliceOnDemo } from './login-settings.ts';
import { watchRequests } from './request-log.ts';
import type { TestEnvironment } from './test-environment.ts';

/** `needs` can name another address of Keystone, and more settings. */
export function setUpAlice(t: Test, { http, tenancy }: TestEnvironment, needs: Needs = {}): Fixture {
  const { keystone = watchRequests(http), settings, ...others } = needs;
  return setUp(t, { ...others, keystone, settings: { ...asAliceOnDemo(tenancy), ...settings } });
}
