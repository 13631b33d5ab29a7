// Some clouds issue tokens for a few minutes only. With the usual margin of two minutes these would be useless, and every
// kubectl command would log in again.

import { randomUUID } from 'node:crypto';
import { setUp } from '../support/fixture.ts';
import { checkSuccess } from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import { asApplicationCredential } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { runBundles } from '../support/run-bundles.ts';
import { createApplicationCredential, logIn, validateToken } from '../support/tenancy.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('a short-lived token is used for half its lifetime', async (t, environment) => {
  const { http, tenancy } = environment;
  const { users, projects } = tenancy;
  const lifeMs = 200_000;
  // A token does not outlive its application credential.
  const credential = await createApplicationCredential(http, {
    token: await logIn(http, users.alice, { project: { id: projects.demo.id } }),
    userId: users.alice.id,
    name: `short-lived ${randomUUID()}`,
    lifeMs,
  });
  let now = Date.now();
  const user = setUp(t, {
    keystone: watchRequests(http),
    settings: asApplicationCredential(credential),
    runner: (run) => runBundles(run, { now: () => now }),
  });
  const run = async (): Promise<ExecCredentialStatus> => checkSuccess(t, await user.run());
  const first = await run();
  // The timestamp is rounded down, so the middle is up to half a second later.
  const middle = (now + Date.parse(first.expirationTimestamp)) / 2;
  now = middle - 1_000;
  t.equal((await run()).token, first.token, 'the token is used in the first half');
  t.equal(user.countLogins(), 1);
  now = middle + 2_000;
  t.not((await run()).token, first.token, 'a new token is requested in the second half');
  t.equal(user.countLogins(), 2);
  t.ok(await validateToken(http, first.token), 'the first token had not expired');
});
