/** No secret in what `status`, `logout` and `cache clean` say while there is a token to be given back. */
import t from 'tap';
import { setUpToken } from '../support/token-fixture.ts';
import { testWithKeystone } from '../support/test-environment.ts';

t.setTimeout(170_000);

/** `commands-leak.test.ts` does this with settings; here there is always a token to be given back. */
testWithKeystone('no secret in what is said', async (t, world) => {
  const ways = [['-v'], ['-vv'], ['-vvv'], ['-vvv', '-o', 'json'], ['-vvv', '-o', 'yaml', '--log-format=json']];
  const commands = [['status'], ['logout'], ['logout', '--all'], ['cache', 'clean', '--all']];
  const check = async (command: readonly string[]): Promise<void> => {
    const { run, getToken, aliceSettings } = setUpToken(t, world);
    for (const way of ways) {
      const canaries = [await getToken(), aliceSettings['OS_PASSWORD'] ?? ''];
      const { stdout, stderr, status } = await run([...command, ...way]);
      t.equal(status, 0, stderr);
      const told = canaries.some((canary) => `${stdout}${stderr}`.includes(canary));
      t.notOk(told, `${command.join(' ')} ${way.join(' ')}`);
    }
  };
  await Promise.all(commands.map(check));
});
