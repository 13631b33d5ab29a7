/** Builds that fill the cache of development tools. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { waitUntil } from '../support/wait-until.ts';

const LIBRARY = new URL('../../scripts/lib/', import.meta.url);

/** Two builds. The first goes on until a signal ends it, and says in a file that it has begun. */
const SCRIPT = `
  import { join } from 'node:path';
  import { runLogged } from '${new URL('build-steps.ts', LIBRARY).href}';
  import { buildForCache } from '${new URL('cached-build.ts', LIBRARY).href}';
  const [folder] = process.argv.slice(1);
  await buildForCache('first', join(folder, 'first'), ({ work, log }) =>
    runLogged(log, 'sh', ['-c', 'touch "$0"; exec tail -f /dev/null', join(folder, 'begun')], { cwd: work }));
  await buildForCache('second', join(folder, 'second'), async () => undefined);
`;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  await t.test(`${signal} ends a build, cleans up, and no other build follows`, async (t) => {
    const folder = t.testdir();
    const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT, folder]);
    const result = collectResult(child);
    await waitUntil('the first build', () => existsSync(join(folder, 'begun')));
    child.kill(signal);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    t.equal(child.signalCode, signal);
    t.match(await result, { stdout: 'Building first …\n', stderr: '' });
    t.strictSame(readdirSync(folder), ['begun'], 'the folder of the build is gone');
  });
}
