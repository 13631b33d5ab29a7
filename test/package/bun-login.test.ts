/** What a login of an executable of Bun does without. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { EXIT } from '../../src/plugin/cli/exit-status.ts';
import { makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PLUGIN_PATH, RUNTIME } from '../support/run-plugin.ts';
import { startProgram } from '../support/stress.ts';

const skip =
  RUNTIME === 'bun'
    ? skipWithout('strace', () => canRun('strace', '-V'))
    : 'npm run package -- --runtime bun, then npm test -- --packaged --made';

const OF_SYSTEM = /^\/(?:etc|usr)\/.*(?:ssl|pki|ca-certificates)/;

await t.test('a login that trusts a file reads no authorities of the system', { skip }, async (t) => {
  const pki = await makePki(join(t.testdir(), 'pki'));
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const home = makeTestHome(t);
  const trace = join(home.path, 'trace');
  const listOpened = async (settings: Readonly<Record<string, string>>, status: number): Promise<readonly string[]> => {
    const env = makeEnvironment(home, { ...makeLoginSettings(`${keystone.url}/v3`), ...settings });
    const calls = ['-f', '-e', 'trace=open,openat', '-o', trace, PLUGIN_PATH];
    const run = await startProgram(['strace', ...calls], env).ended;
    t.equal(run.status, status, run.stderr);
    const paths = Array.from(
      readFileSync(trace, 'utf8').matchAll(/open(?:at)?\([^"]*"([^"]+)"/g),
      ([, path = '']) => path,
    );
    return paths.filter((path) => OF_SYSTEM.test(path));
  };
  t.same(await listOpened({ OS_CACERT: pki.ca }, EXIT.ok), []);
  t.not((await listOpened({}, EXIT.unreachable)).length, 0, 'the trace shows those of a login that trusts them');
});
