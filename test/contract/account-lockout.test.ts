/** A poller with an old password does not lock an account at a real Keystone with `lockout_failure_attempts=5`. */
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import type { Test } from 'tap';
import { startKeystone } from '../../scripts/keystone/keystone.ts';
import type { Keystone, KeystoneAddress } from '../../scripts/keystone/keystone.ts';
import { checkFailure, EXIT_STATUS } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { asUser, onProject } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { runBundles } from '../support/run-bundles.ts';
import { createMember, logIn } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

const ATTEMPTS = 5;
const POLL_MS = 5_000;
const MINUTE_MS = 60_000;

/** Another server with the same users, which locks accounts. */
async function startStrictKeystone(t: Test, { accessLog }: KeystoneAddress): Promise<Keystone> {
  const extraConfig = `[security_compliance]
lockout_failure_attempts = ${ATTEMPTS}
lockout_duration = 1800
`;
  const keystone = await startKeystone({ dir: dirname(accessLog), extraConfig });
  t.teardown(() => keystone.stop());
  return keystone;
}

testWithKeystone('a poller with an old password leaves the account unlocked', async (t, { http, tenancy }) => {
  // A user of this test: a login of somebody else would reset the count of wrong passwords.
  const user = await createMember(http, tenancy, `polled ${randomUUID()}`);
  const keystone = await startStrictKeystone(t, http);
  const start = Date.now();
  let now = start;
  const poller = setUp(t, {
    keystone: watchRequests(keystone),
    settings: {
      ...asUser(user, tenancy.domain),
      ...onProject(tenancy.projects.demo, tenancy.domain),
      OS_PASSWORD: 'canary-old-password',
    },
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
  t.ok(await logIn(keystone, user), 'the account is not locked');
  t.comment(`${runs} runs in 10 minutes, ${poller.countLogins()} logins, not locked`);

  // The login of the person has reset the count of Keystone, so the poller can fail four times more.
  for (; now < start + 90 * MINUTE_MS; now += POLL_MS * 12) await poller.run();
  t.equal(poller.countLogins(), 4, 'in 90 minutes');
  t.ok(await logIn(keystone, user), 'the account is not locked');

  // A login of another password is immediate, and shows that this Keystone locks.
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const other = poller.with({ OS_PASSWORD: `canary-typo-${attempt}` });
    checkFailure(t, await other.run(), EXIT_STATUS.refused, { says: [`refused the login for ${user.name}`] });
  }
  t.equal(poller.countLogins(), 4 + ATTEMPTS);
  await t.rejects(logIn(keystone, user), 'five wrong passwords lock the account');
});
