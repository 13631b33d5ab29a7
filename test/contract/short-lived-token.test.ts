// Some clouds issue tokens for a few minutes only. With the usual margin of two minutes these would be useless, and
// every kubectl command would log in again. The test waits, so it has its own file and other tests need not wait.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startKeystone } from '../../scripts/keystone/keystone.ts';
import { checkSuccess } from '../support/check-run.ts';
import type { ExecCredentialStatus } from '../support/check-run.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { validateToken } from '../support/tenancy.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';

testWithKeystone('a token that is valid for seconds is used for half its lifetime', async (t) => {
  const lifetimeMs = 10_000;
  const dir = t.testdir();
  const keystone = await startKeystone({ dir: join(dir, 'keystone'), expirationSeconds: lifetimeMs / 1000 });
  t.teardown(() => keystone.stop());
  const address = watchRequests(keystone);
  const home = makeHome();
  t.teardown(() => home.remove());
  const env = {
    OS_AUTH_URL: `${address.url}/v3`,
    OS_USERNAME: 'admin',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PASSWORD: keystone.adminPassword,
    OS_SYSTEM_SCOPE: 'all',
  };
  const run = async (): Promise<ExecCredentialStatus> => checkSuccess(t, await runPlugin({ home, env }));
  const first = await run();
  t.equal((await run()).token, first.token, 'the token is used in the first half');
  t.equal(listRequests(address).length, 1);
  const halfMs = lifetimeMs / 2;
  // The timestamp is rounded down, so this is up to a second after the middle.
  await sleep(Math.max(0, Date.parse(first.expirationTimestamp) + 1000 - halfMs - Date.now()));
  t.not((await run()).token, first.token, 'a new token is requested in the second half');
  t.equal(listRequests(address).length, 2);
  t.ok(await validateToken(keystone, first.token), 'the first token had not expired');
});
