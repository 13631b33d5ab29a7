// Some clouds give tokens for minutes only. The usual margin of two minutes would make each of those useless, so that
// every kubectl would log in again. A file of its own: it waits, and others need not wait for it.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startKeystone } from '../../scripts/keystone/keystone.ts';
import { checkSuccess } from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import { makeHome, runPlugin } from '../support/run-plugin.ts';
import { validateToken } from '../support/tenancy.ts';
import { watchRequests, listRequests, testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('a token of seconds is used for half its life', async (t) => {
  const lifeMs = 10_000;
  const dir = t.testdir();
  const keystone = await startKeystone({ dir: join(dir, 'keystone'), expirationSeconds: lifeMs / 1000 });
  t.teardown(() => keystone.stop());
  const mark = watchRequests(keystone);
  const home = makeHome();
  t.teardown(() => home.remove());
  const env = {
    OS_AUTH_URL: `${mark.url}/v3`,
    OS_USERNAME: 'admin',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PASSWORD: keystone.adminPassword,
    OS_SYSTEM_SCOPE: 'all',
  };
  const run = async (): Promise<ExecCredentialStatus> => checkSuccess(t, await runPlugin({ home, env }));
  const first = await run();
  t.equal((await run()).token, first.token, 'in the first half');
  t.equal(listRequests(mark).length, 1);
  const halfMs = lifeMs / 2;
  // The stamp is floored, so this is up to a second after the middle.
  await sleep(Math.max(0, Date.parse(first.expirationTimestamp) + 1000 - halfMs - Date.now()));
  t.not((await run()).token, first.token, 'in the second half');
  t.equal(listRequests(mark).length, 2);
  t.ok(await validateToken(keystone, first.token), 'which was not yet at its end');
});
