/** What a login of an executable of Bun does without. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { EXIT } from '../../src/plugin/cli/exit-status.ts';
import { checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PLUGIN_PATH, RUNTIME } from '../support/run-plugin.ts';
import { startProgram } from '../support/stress.ts';

const skip =
  RUNTIME === 'bun'
    ? skipWithout('strace', () => canRun('strace', '-V'))
    : 'npm run package -- --runtime bun, then npm test -- --packaged --made';

const OF_SYSTEM = /^\/(?:etc|usr)\/.*(?:ssl|pki|ca-certificates)/;

interface Traced {
  readonly home: Home;
  /** The system calls of a login with a new cache folder, and of another one. */
  readonly first: readonly string[];
  readonly second: readonly string[];
}

/** Logs in twice, and records system calls. */
async function traceLogins(t: Test, calls: string): Promise<Traced> {
  const keystone = await startKeystoneForTest(t);
  const home = makeTestHome(t);
  const env = makeEnvironment(home, makeLoginSettings(`${keystone.url}/v3`));
  const trace = join(home.path, 'trace');
  const logIn = async (): Promise<readonly string[]> => {
    const command = ['strace', '-f', '-e', `trace=${calls}`, '-o', trace, PLUGIN_PATH, '--force-refresh'];
    checkSuccess(t, await startProgram(command, env).ended);
    return readFileSync(trace, 'utf8').split('\n');
  };
  return { home, first: await logIn(), second: await logIn() };
}

await t.test('a login removes no file that does not exist', { skip }, async (t) => {
  const { home, first, second } = await traceLogins(t, 'unlink,unlinkat,rename');
  const removals = [...first, ...second].filter((line) => /\bunlink(?:at)?\(/.test(line));
  t.same(
    removals.filter((line) => line.includes('ENOENT')),
    [],
  );
  t.match(first.join('\n'), `${home.cache}/`, 'the trace shows what a login does in its folder');
});

await t.test('a login looks once whether other users could replace its cache folder', { skip }, async (t) => {
  const { home, second } = await traceLogins(t, 'statx,newfstatat,lstat');
  // SQLite looks itself, with lstat.
  const looks = second.filter((line) => /\b(?:statx|newfstatat)\(/.test(line));
  const count = (path: string): number => looks.filter((line) => line.includes(`"${path}"`)).length;
  t.equal(count(home.path), 1);
  t.equal(count(dirname(home.cache)), 1);
  t.ok(count(home.cache) > 1, 'each part of the cache looks whether the folder is still there');
});

await t.test('a login does not wait until what it can make again is on the disk', { skip }, async (t) => {
  const { home, first, second } = await traceLogins(t, 'fsync,fdatasync,sync_file_range,rename');
  const [waits, writes] = [/\b(?:f|fdata)sync\(|\bsync_file_range\(/, new RegExp(`rename\\(.*${home.cache}`)];
  for (const lines of [first, second]) {
    t.same(
      lines.filter((line) => waits.test(line)),
      [],
    );
    t.ok(lines.some((line) => writes.test(line)));
  }
});

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
