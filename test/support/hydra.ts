/** A real ORY Hydra for each test, which the test starts itself: Hydra keeps everything in memory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { HYDRA, startHydra } from '../../scripts/identity-providers/hydra.ts';
import type { AccessTokenKind, Hydra } from '../../scripts/identity-providers/hydra.ts';
import { findGoToolPath } from '../../scripts/lib/go-tools.ts';
import { skipWithout } from './missing-tools.ts';
import type { HYDRA_RESULTS } from './provider-results.ts';
import type { ProviderAddress } from './provider-user.ts';
import { makeTestFolder, shareTestPki } from './webhook-settings.ts';

/** A program that is allowed to ask for these scopes. */
export const ROBOT = { id: 'robot', secret: 'r+b/t%20:&=', scope: 'clusters:read clusters:write' };

export interface TestHydra extends Hydra, ProviderAddress {}

/** Declares a test with a Hydra of its own, which knows {@link ROBOT}. */
export function testWithHydra(
  name: keyof typeof HYDRA_RESULTS,
  accessTokens: AccessTokenKind,
  body: (t: Test, hydra: TestHydra) => Promise<void>,
): void {
  const program = findGoToolPath(HYDRA, HYDRA.name);
  const skip = skipWithout('ORY Hydra (scripts/build-identity-providers.ts)', () => existsSync(program));
  void test(name, { skip }, async (t) => {
    const pki = await shareTestPki();
    const hydra = await startHydra({ program, dir: join(makeTestFolder(t), 'hydra'), pki, accessTokens });
    t.teardown(() => hydra.stop());
    await hydra.createClient({
      ...{ client_id: ROBOT.id, client_secret: ROBOT.secret, scope: ROBOT.scope },
      grant_types: ['client_credentials'],
    });
    await body(t, { ...hydra, ca: pki.ca });
  });
}
