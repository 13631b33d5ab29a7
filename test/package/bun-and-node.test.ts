/** Executables of Bun and plugins on Node share a cache: its files, and the lock of a login. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { openTestTerminal } from '../support/answer-prompts.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { startHangingRun } from '../support/lock-waiters.ts';
import { makeIsolatedCommand, PLUGIN_PATH, RUNTIME } from '../support/run-plugin.ts';
import { PATIENT } from '../support/stress.ts';

const run = promisify(execFile);
const skip = RUNTIME === 'bun' ? false : 'npm run package -- --runtime bun, then npm test -- --packaged --made';

const ON_NODE = [process.execPath, 'dist/client-keystone-auth.cjs'].map((path) => resolve(path));
const ON_BUN = [PLUGIN_PATH];

await t.test('Node and Bun read the cache of each other', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  const env = makeLoginSettings(`${keystone.url}/v3`);
  const start = async (command: readonly string[], home: Home): Promise<string> => {
    const [file = '', ...words] = command;
    const [program, args, options] = makeIsolatedCommand(file, words, makeEnvironment(home, env));
    return (await run(program, args, { ...options, cwd: home.path })).stdout;
  };
  for (const [first, second] of [
    [ON_NODE, ON_BUN],
    [ON_BUN, ON_NODE],
  ] as const) {
    const home = makeTestHome(t);
    const before = keystone.countLogins();
    t.equal(await start(first, home), await start(second, home), 'the same token, and not a byte more');
    t.equal(keystone.countLogins(), before + 1, 'one login');
  }
});

const HOLDERS = { Node: [ON_NODE, ON_BUN], Bun: [ON_BUN, ON_NODE] } as const;

for (const [runtime, [holding, waiting]] of Object.entries(HOLDERS)) {
  await t.test(
    `a run waits for the login of another on ${runtime}, and logs in when that is killed`,
    { skip },
    async (t) => {
      const keystone = await startKeystoneForTest(t);
      const env = makeEnvironment(makeTestHome(t), makeLoginSettings(`${keystone.url}/v3`));
      const holder = await startHangingRun(keystone, env, holding);
      // Only a terminal shows that a run waits.
      const [program = '', ...words] = waiting;
      const [file, args, options] = makeIsolatedCommand(program, [...words, ...PATIENT], env);
      const waiter = openTestTerminal(t, { file, args, env: options.env });
      await waiter.waitFor('waiting for another login');
      t.equal(keystone.countLogins(), 1, 'it does not log in');
      process.kill(-holder.pid, 'SIGKILL');
      await waiter.waitFor('"token":"');
      t.match(await waiter.ended, { exitCode: 0 });
      t.equal(keystone.countLogins(), 2);
    },
  );
}
