/** Sets up alice, who logs in to the project demo at the real Keystone. */
import type { Test } from 'tap';
import { setUp } from './fixture.ts';
import type { Fixture, Needs } from './fixture.ts';
import { asAliceOnDemo } from './login-settings.ts';
import { watchRequests } from './request-log.ts';
import type { TestEnvironment } from './test-environment.ts';

export interface AliceNeeds extends Omit<Needs, 'keystone'> {
  /** The address of Keystone. TLS needs `OS_CACERT`. Default: `http`. */
  readonly server?: 'http' | 'tls' | 'mutualTls';
}

export function setUpAlice(t: Test, environment: TestEnvironment, needs: AliceNeeds = {}): Fixture {
  const { server = 'http', settings, ...others } = needs;
  return setUp(t, {
    ...others,
    keystone: watchRequests(environment[server]),
    settings: { ...asAliceOnDemo(environment.tenancy), ...settings },
  });
}
