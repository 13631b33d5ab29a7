/** `status`, `logout` and `cache clean` print no secret while there is a token to revoke. */
import { setUpAlice } from '../support/alice.ts';
import { testWithKeystone } from '../support/test-environment.ts';

/** `command-secrets.test.ts` checks the secrets of settings; here there is always a token to revoke. */
testWithKeystone('no command that lists or revokes a token prints a secret', async (t, environment) => {
  const flagSets = [['-v'], ['-vv'], ['-vvv'], ['-vvv', '-o', 'json'], ['-vvv', '-o', 'yaml', '--log-format=json']];
  const commands = [['status'], ['logout'], ['logout', '--all'], ['cache', 'clean', '--all']];
  const check = async (command: readonly string[]): Promise<void> => {
    const alice = setUpAlice(t, environment, { path: '' });
    for (const flags of flagSets) {
      const canaries = [await alice.getToken(), alice.settings['OS_PASSWORD'] ?? ''];
      const { stdout, stderr, status } = await alice.run(...command, ...flags);
      t.equal(status, 0, stderr);
      const isLeaked = canaries.some((canary) => `${stdout}${stderr}`.includes(canary));
      t.notOk(isLeaked, `${command.join(' ')} ${flags.join(' ')}`);
    }
  };
  await Promise.all(commands.map(check));
});
