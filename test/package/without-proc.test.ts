/** What the executable does without `/proc`. */
import t from 'tap';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import type { Runner } from '../support/fixture.ts';
import { makeEnvironment } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE, PLUGIN_PATH, RUNTIME } from '../support/run-plugin.ts';
import { startProgram } from '../support/stress.ts';

const skip =
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout('bubblewrap', () => canRun('bwrap', '--version'));

/** Runs the plugin where an empty folder hides `/proc`. */
const runWithoutProc: Runner = ({ home, args = [], env = {}, cwd = home.path }) => {
  const mounts = ['--bind', '/', '/', '--tmpfs', '/proc', '--chdir', cwd];
  return startProgram(['bwrap', ...mounts, PLUGIN_PATH, ...args], makeEnvironment(home, env)).ended;
};

await t.test(
  RUNTIME === 'bun' ? 'without /proc, an executable of Bun ends and names the reason' : 'the plugin needs no /proc',
  { skip },
  async (t) => {
    const keystone = await startKeystoneForTest(t);
    const settings = makeLoginSettings(`${keystone.url}/v3`);
    const alice = setUp(t, { keystone, settings, runner: runWithoutProc });
    if (RUNTIME === 'bun') {
      const { status, stdout, stderr } = await alice.run();
      t.not(status, 0);
      t.equal(stdout, '');
      t.match(stderr, /\nBun crashed\. Is \/proc not mounted\?\n$/);
      return;
    }
    t.equal(await alice.getToken(), await alice.getToken(), 'the second run takes the token from the cache');
    t.equal(alice.countLogins(), 1);
  },
);
