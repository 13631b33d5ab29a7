/** `status`, `logout` and `cache clean` print no secret while there is a token to revoke. */
import t from 'tap';
import { setUpToken } from '../support/token-fixture.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(170_000);

/** `command-secrets.test.ts` checks the secrets of settings; here there is always a token to revoke. */
testWithKeystone('no secret in the output', async (t, environment) => {
  const flagSets = [['-v'], ['-vv'], ['-vvv'], ['-vvv', '-o', 'json'], ['-vvv', '-o', 'yaml', '--log-format=json']];
  const commands = [['status'], ['logout'], ['logout', '--all'], ['cache', 'clean', '--all']];
  const check = async (command: readonly string[]): Promise<void> => {
    const { run, getToken, aliceSettings } = setUpToken(t, environment);
    for (const flags of flagSets) {
      const canaries = [await getToken(), aliceSettings['OS_PASSWORD'] ?? ''];
      const { stdout, stderr, status } = await run([...command, ...flags]);
      t.equal(status, 0, stderr);
      const isLeaked = canaries.some((canary) => `${stdout}${stderr}`.includes(canary));
      t.notOk(isLeaked, `${command.join(' ')} ${flags.join(' ')}`);
    }
  };
  await Promise.all(commands.map(check));
});
