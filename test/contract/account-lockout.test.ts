/** A poller with an old password does not lock an account at a real Keystone with `lockout_failure_attempts=5`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { startKeystone } from '../../scripts/keystone/keystone.ts';
import type { Keystone } from '../../scripts/keystone/keystone.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { asAliceOnDemo } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { runBundles } from '../support/run-bundles.ts';
import { createTenancy, logIn } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

const ATTEMPTS = 5;
const POLL_MS = 5_000;
const MINUTE_MS = 60_000;

/** A Keystone of its own, because only the first server of a data folder decides about locks. */
async function startStrictKeystone(t: Test): Promise<Keystone> {
  const folder = await mkdtemp(join(tmpdir(), 'cka-lockout-'));
  const lockout = { attempts: ATTEMPTS, seconds: 1_800 };
  const keystone = await startKeystone({ dir: join(folder, 'keystone'), lockout });
  t.teardown(async () => {
    await keystone.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return keystone;
}

testWithKeystone('a poller with an old password leaves the account unlocked', async (t) => {
  const keystone = await startStrictKeystone(t);
  const tenancy = await createTenancy(keystone);
  const { alice } = tenancy.users;
  const start = Date.now();
  let now = start;
  const poller = setUp(t, {
    keystone: watchRequests(keystone),
    settings: { ...asAliceOnDemo(tenancy), OS_PASSWORD: 'canary-old-password' },
    runner: (run) => runBundles(run, { now: () => now }),
  });
  let runs = 0;
  for (; now < start + 10 * MINUTE_MS; now += POLL_MS) {
    const { status, stdout } = await poller.run();
    if (status !== EXIT_STATUS.refused || stdout !== '') t.fail(`run ${runs}: status ${String(status)}`);
    runs += 1;
  }
  t.equal(runs, 120);
  t.equal(poller.countLogins(), 2, 'in 10 minutes');
  t.ok(await logIn(keystone, alice), 'the account is not locked');
  t.comment(`${runs} runs in 10 minutes, ${poller.countLogins()} logins, not locked`);

  // The login of the person has reset the count of Keystone, so the poller can fail four times more.
  for (; now < start + 90 * MINUTE_MS; now += POLL_MS * 12) await poller.run();
  t.equal(poller.countLogins(), 4, 'in 90 minutes');
  t.ok(await logIn(keystone, alice), 'the account is not locked');

  // A login of another password is immediate, and shows that this Keystone locks.
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const other = poller.with({ OS_PASSWORD: `canary-typo-${attempt}` });
    checkFailure(t, await other.run(), EXIT_STATUS.refused, { says: ['refused the login for alice'] });
  }
  t.equal(poller.countLogins(), 4 + ATTEMPTS);
  await t.rejects(logIn(keystone, alice), 'five wrong passwords lock the account');
});
