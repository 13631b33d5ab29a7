/** The executables for arm64, on an emulated processor: with glibc, and with musl. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'tap';
import { findMusl } from '../../scripts/lib/find-musl.ts';
import { TARGETS, executablePath } from '../../scripts/package/targets.ts';
import { checkSuccess } from '../support/check-run.ts';
import { setUp } from '../support/fixture.ts';
import { makeEnvironment } from '../support/home.ts';
import { canRun, skipBecause, skipWithout } from '../support/missing-tools.ts';
import { PACKAGED_EXECUTABLE } from '../support/run-plugin.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest } from '../support/stand-in-login.ts';
import { PATIENT, startProgram } from '../support/stress.ts';

const GLIBC = '/usr/aarch64-linux-gnu';

/** Where the libraries of each executable are, or why they are missing. */
const LIBRARIES = {
  'linux-arm64': () =>
    Promise.resolve(
      existsSync(`${GLIBC}/lib/libstdc++.so.6`) ? { root: GLIBC } : { missing: `${GLIBC} has no libstdc++` },
    ),
  'linux-arm64-musl': () => findMusl('arm64'),
} as const;

for (const [name, findLibraries] of Object.entries(LIBRARIES)) {
  const target = TARGETS.find((each) => each.name === name);
  const executable = target === undefined ? '' : resolve(executablePath(target));
  let skip: string | false = PACKAGED_EXECUTABLE === undefined && 'npm test -- --packaged';
  skip ||= skipWithout(`the executable for ${name}`, () => existsSync(executable));
  skip ||= skipWithout('qemu-aarch64', () => canRun('qemu-aarch64', '--version'));
  const libraries = skip === false ? await findLibraries() : { missing: '' };
  if (skip === false && 'missing' in libraries) skip = skipBecause(libraries.missing);
  const command = ['qemu-aarch64', '-L', 'root' in libraries ? libraries.root : '', executable];

  void test(`the executable for ${name} logs in on an emulated processor, and uses the cache`, { skip }, async (t) => {
    const keystone = await startKeystoneForTest(t);
    const alice = setUp(t, {
      settings: makeLoginSettings(`${keystone.url}/v3`),
      runner: ({ home, args = [], env = {}, cwd }) =>
        startProgram([...command, ...args], makeEnvironment(home, env), cwd).ended,
    });
    t.match(await alice.withOnly({}).run('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' });
    t.match(await alice.withOnly({}).run('--help'), { status: 0, stdout: /kubectl runs it to get a token/ });
    const first = await alice.run(...PATIENT);
    const { token } = checkSuccess(t, first);
    const second = await alice.run(...PATIENT);
    t.equal(checkSuccess(t, second).token, token, 'the second run takes the token from the cache');
    t.equal(keystone.countLogins(), 1);
    t.notOk(alice.readCache().includes(PASSWORD), 'the cache has no password');
  });
}
