/** A kubeconfig from somebody else names another command in `args`: kubectl must not run it. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EXIT } from '../../src/plugin/cli/exit-status.ts';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { makeExecInfo } from '../support/home.ts';

await t.test('kubectl runs get-token, and no other command', async (t) => {
  const keystone = await startKeystoneForTest(t);
  const alice = setUp(t, { keystone, settings: makeLoginSettings(`${keystone.url}/v3`) });
  const { token } = checkSuccess(t, await alice.run());
  const [before, files] = [alice.countRequests(), readdirSync(alice.home.cache, { recursive: true })];
  const file = join(alice.home.path, 'elsewhere');
  const folder = join(alice.home.path, 'completions');
  const hostile = alice.with({ KUBERNETES_EXEC_INFO: makeExecInfo(), BASH_COMPLETION_USER_DIR: folder });
  const commands = [
    ...COMMANDS.map(({ words }) => words),
    ['logout', '--all'],
    ['cache', 'clean', '--all'],
    ['kubeconfig', 'add', '--server=https://cluster.test', `--kubeconfig=${file}`],
    ['completion', 'install', 'bash'],
    ['login', '--create-application-credential'],
    ['complete', '--', 'client-keystone-auth', '--os-cloud', ''],
  ];
  for (const words of commands) {
    const result = await hostile.run(...words);
    checkFailure(t, result, EXIT.usage, { says: ['kubectl can only run get-token, not "', 'exec stanza'] });
  }
  t.equal(alice.countRequests(), before, 'nothing is sent');
  t.strictSame(readdirSync(alice.home.cache, { recursive: true }), files, 'nothing is removed');
  t.strictSame([existsSync(file), existsSync(folder)], [false, false], 'nothing is written');
  t.equal(checkSuccess(t, await hostile.run('get-token')).token, token);
  t.equal((await hostile.run('--version')).status, 0);
});
