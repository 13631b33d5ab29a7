/** What a cache hit of an executable of Bun does without. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeExecInfo, makeTestHome } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { makeIsolatedCommand, PLUGIN_PATH, RUNTIME, runPlugin } from '../support/run-plugin.ts';

const run = promisify(execFile);
const skip =
  RUNTIME === 'bun'
    ? skipWithout('strace', () => canRun('strace', '-V'))
    : 'npm run package -- --runtime bun, then npm test -- --packaged --made';

await t.test('a cache hit starts no thread and no program', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  for (const byKubectl of [{}, { KUBERNETES_EXEC_INFO: makeExecInfo() }]) {
    const home = makeTestHome(t);
    const env = { ...makeLoginSettings(`${keystone.url}/v3`), ...byKubectl };
    const login = await runPlugin({ home, env });
    checkSuccess(t, login);
    const trace = join(home.path, 'trace');
    const countThreads = async (args: readonly string[]): Promise<number> => {
      const calls = ['-f', '-e', 'trace=clone,clone3,fork,vfork', '-o', trace, PLUGIN_PATH, ...args];
      const [file, words, options] = makeIsolatedCommand('strace', calls, makeEnvironment(home, env));
      const { stdout } = await run(file, words, { ...options, cwd: home.path });
      if (args.length === 0) t.equal(stdout, login.stdout, 'it is a cache hit');
      return readFileSync(trace, 'utf8')
        .split('\n')
        .filter((line) => /\b(?:clone3?|v?fork)\(/.test(line)).length;
    };
    t.equal(await countThreads([]), 0);
    t.not(await countThreads(['--force-refresh']), 0, 'the trace shows the threads of a login');
  }
});
