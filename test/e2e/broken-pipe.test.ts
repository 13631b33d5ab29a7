/** A reader that exits early, a closed or a full stdout: a run ends silently or with one line, with no stack trace. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import t from 'tap';
import type { Test } from 'tap';
import { EXIT_STATUS, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeEnvironment, makeHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';

const keystone = await startKeystoneForTest(t);
const login = makeLoginSettings(`${keystone.url}/v3`);

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script for /bin/sh in which `"$@"` is the plugin and descriptor 3 is the original stdout. */
async function runShell(home: Home, script: string, env: Readonly<Record<string, string>> = login): Promise<Output> {
  const child = spawn('/bin/sh', ['-c', `exec 3>&1; ${script}`, 'sh', ...PLUGIN_COMMAND], {
    cwd: home.path,
    env: makeEnvironment(home, env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr };
}

/** Makes a script that runs another one with a pipe as stdout, after the reader of the pipe has exited. */
const withoutReader = (script: string): string =>
  `rm -f gate; mkfifo gate; { read _ <gate; ${script}; } | { exec <&-; echo >gate; }`;

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

/** The first run logs in and the second is a cache hit: they write to stdout in different code. */
async function runTwice(t: Test, script: string, expected: Output): Promise<void> {
  const home = setUpHome(t);
  const before = keystone.countLogins();
  t.strictSame(await runShell(home, script), expected, 'the first run');
  t.strictSame(await runShell(home, script), expected, 'a cache hit');
  t.equal(keystone.countLogins() - before, 1);
}

await t.test('a login and a cache hit whose reader has exited end with status 0', async (t) => {
  const home = setUpHome(t);
  for (const run of ['a login', 'a cache hit', 'another cache hit']) {
    const output = await runShell(home, withoutReader('"$@"; echo "status $?" >&3'));
    t.strictSame(output, { stdout: 'status 0\n', stderr: '' }, run);
  }
  const output = await runShell(home, withoutReader('"$@" --force-refresh; echo "status $?" >&3'));
  t.strictSame(output, { stdout: 'status 0\n', stderr: '' }, 'a forced login');
});

await t.test('help and version whose reader has exited end with status 0', async (t) => {
  const home = setUpHome(t);
  for (const flag of ['--help', '--version']) {
    const output = await runShell(home, withoutReader(`"$@" ${flag}; echo "status $?" >&3`));
    t.strictSame(output, { stdout: 'status 0\n', stderr: '' });
  }
});

await t.test('a failure whose reader has exited ends with its own status', async (t) => {
  const home = setUpHome(t);
  const script = withoutReader('"$@" 2>&1 >/dev/null; echo "status $?" >&3');
  const output = await runShell(home, script, { ...login, OS_PASSWORD: 'wrong' });
  t.strictSame(output, { stdout: `status ${String(EXIT_STATUS.refused)}\n`, stderr: '' });
});

await t.test('a run with a closed stdout ends silently with status 0', async (t) => {
  await runTwice(t, '"$@" >&-; echo "status $?" >&3', { stdout: 'status 0\n', stderr: '' });
});

await t.test('a run with closed stdin, stdout and stderr ends with status 0', async (t) => {
  await runTwice(t, '"$@" <&- >&- 2>&-; echo "status $?" >&3', { stdout: 'status 0\n', stderr: '' });
});

await t.test(
  'a full disk is reported in one line',
  { skip: existsSync('/dev/full') ? false : 'this system has no /dev/full' },
  async (t) => {
    const stderr = 'client-keystone-auth: cannot write to stdout (ENOSPC)\n';
    await runTwice(t, '"$@" >/dev/full; echo "status $?" >&3', { stdout: 'status 1\n', stderr });

    const home = setUpHome(t);
    const wrong = { ...login, OS_PASSWORD: 'wrong' };
    const output = await runShell(home, '"$@" 2>/dev/full; echo "status $?"', wrong);
    t.strictSame(output, { stdout: `status ${String(EXIT_STATUS.refused)}\n`, stderr: '' });
  },
);
