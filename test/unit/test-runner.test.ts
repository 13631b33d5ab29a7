/** The test runner of this project: what it starts for a test file, and how it counts. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { runTestFiles } from '../../scripts/lib/run-test-files.ts';
import type { FileTime } from '../../scripts/lib/run-test-files.ts';
import type { Counts } from '../../scripts/lib/test-report.ts';
import { findResources } from '../../scripts/lib/test-resources.ts';
import { describeSlowest, readTestTimes, sortSlowestFirst, writeTestTimes } from '../../scripts/lib/test-times.ts';
import { findResource, getResource } from '../support/resources.ts';
import { waitUntil } from '../support/wait-until.ts';

const PROVIDERS = {
  'built-programs.ts': 'export const plugin = 1;',
  'test-environment.ts': 'export interface Environment {}\nexport const keystone = 1;',
  'keystone-tls.ts': 'export const tls = 1;',
  'keystone-mutual-tls.ts': 'export const mutualTls = 1;',
  'federation.ts': 'export const federation = 1;',
  'keycloak.ts': 'export const keycloak = 1;',
};

void t.test('a file gets what the modules that it imports stand for, in any number of steps', async (t) => {
  const root = t.testdir({
    test: {
      support: { ...PROVIDERS, 'login.ts': "export { plugin } from './built-programs.ts';" },
      'pure.test.ts': "import type { Environment } from './support/test-environment.ts';\nimport 'node:fs';",
      'login.test.ts': "import { plugin } from './support/login.ts';\nconsole.log(plugin);",
      'tls.test.ts': "import './support/test-environment.ts';\nawait import('./support/keystone-tls.ts');",
      'federation.test.ts': "import './support/federation.ts';",
    },
  });
  const files = ['pure', 'login', 'tls', 'federation'].map((name) => `test/${name}.test.ts`);
  t.same(Object.fromEntries(await findResources(root, files)), {
    'test/pure.test.ts': [],
    'test/login.test.ts': ['programs'],
    'test/tls.test.ts': ['keystone', 'tlsKeystone'],
    'test/federation.test.ts': ['keystone', 'federation'],
  });
});

void t.test('a module of the table that was moved is an error, and so is a missing test file', async (t) => {
  const root = t.testdir({ test: { support: PROVIDERS, 'pure.test.ts': '' } });
  rmSync(join(root, 'test/support/keystone-tls.ts'));
  await t.rejects(findResources(root, ['test/pure.test.ts']), /^test\/support\/keystone-tls\.ts does not exist/);
  await t.rejects(findResources(resolve('.'), ['test/none.test.ts']), /^test\/none\.test\.ts does not exist/);
});

void t.test('unit tests need nothing that the runner starts', async (t) => {
  const files = ['test/unit', 'test/property'].flatMap((folder) =>
    readdirSync(folder).map((name) => `${folder}/${name}`),
  );
  const resources = await findResources(
    resolve('.'),
    files.filter((file) => file.endsWith('.test.ts')),
  );
  t.same(
    [...resources].filter(([, names]) => names.length > 0),
    [],
    'a test that needs something belongs into another folder',
  );
});

void t.test('a test that asks for what the runner did not start for its file fails instead of being skipped', (t) => {
  const folder = t.testdir({ 'programs.json': '{}', 'keystone.json': '{"missing":"no Python"}' });
  setVariables(t, { CKA_TEST_RESOURCES: folder, CKA_TEST_RESOURCE_NAMES: 'keystone tlsKeystone' });
  t.same(findResource('keystone'), { missing: 'no Python' }, 'what the machine does not have is missing');
  t.throws(() => getResource('keystone'), /^there is no keystone: no Python/);
  t.throws(() => findResource('programs'), /the runner did not start programs for this file/);
  t.throws(() => findResource('tlsKeystone'), /the runner did not start tlsKeystone for this file/);
  t.end();
});

void t.test('without the runner, a test is skipped on a laptop and fails in CI', (t) => {
  setVariables(t, { CKA_TEST_RESOURCES: undefined, CI: undefined });
  t.same(findResource('keystone'), { missing: 'run the tests with npm test' });
  setVariables(t, { CI: 'true' });
  t.throws(() => findResource('keystone'), /CI must run the tests with npm test/);
  t.end();
});

function setVariables(t: Test, variables: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    const set = (to: string | undefined): void => {
      if (to === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = to;
    };
    set(value);
    t.teardown(() => {
      set(before);
    });
  }
}

interface Outcome {
  readonly counts: Counts;
  readonly output: string;
  readonly times: readonly FileTime[];
}

interface RunSettings {
  readonly jobs?: number;
  /** Of files that need something. */
  readonly ready?: Readonly<Record<string, Promise<unknown>>>;
}

/** Runs test files that print TAP. */
async function runFiles(
  t: Test,
  files: Readonly<Record<string, string>>,
  { jobs, ready = {} }: RunSettings = {},
): Promise<Outcome> {
  const root = t.testdir({ 'package.json': '{ "type": "module" }', ...files });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  let output = '';
  const options = {
    root,
    dir: root,
    jobs,
    timeoutSeconds: 600,
    processes: new Set<never>(),
    isStopped: () => false,
    write: (text: string) => (output += `${text}\n`),
  };
  const env = { PATH: process.env['PATH'] };
  const times = await runTestFiles(
    Object.keys(files).map((path) => {
      const needed = ready[path];
      return needed === undefined ? { path, env } : { path, env, ready: needed };
    }),
    options,
    counts,
  );
  return { counts, output, times };
}

const print = (...lines: readonly string[]): string => `console.log(${JSON.stringify(lines.join('\n'))});`;

void t.test('assertions are counted in subtests, and not the lines of the subtests', async (t) => {
  const nested = print(
    'TAP version 14',
    '# Subtest: outer',
    '    ok 1 - first',
    '    not ok 2 - second',
    '      ---',
    '      found: 1',
    '      ...',
    '    ok 3 - third # SKIP no Python',
    '    1..3',
    'not ok 1 - outer',
    'ok 2 - alone',
    '1..2',
  );
  const { counts, output } = await runFiles(t, { 'a.test.ts': `${nested}\nprocess.exitCode = 1;` });
  t.same(counts, { passed: 2, failed: 1, skipped: 1 });
  t.match(output, 'FAIL  a.test.ts > outer > second\n        found: 1\n');
  t.match(output, 'skip  a.test.ts > outer > third: no Python\n');
  t.match(output, /^FAIL {2}a\.test\.ts \(2 tests, /m);
});

const PASSING = print('ok 1 - fine', '1..1');

void t.test('a file that ends badly is a failure, even without a failed assertion', async (t) => {
  const files = {
    'crash.test.ts': `${print('ok 1 - fine')}\nprocess.kill(process.pid, 'SIGKILL');\nsetInterval(() => {}, 1000);`,
    'empty.test.ts': '',
    'no-tests.test.ts': print('TAP version 14', '1..0'),
    'status.test.ts': `${PASSING}\nprocess.exitCode = 3;`,
    'too-few.test.ts': print('ok 1 - fine', '1..2'),
    'throws.test.ts': 'throw new Error();',
    'passes.test.ts': PASSING,
  };
  const { counts, output } = await runFiles(t, files);
  t.same(counts, { passed: 4, failed: 6, skipped: 0 });
  t.match(output, 'FAIL  crash.test.ts: was ended by SIGKILL without a failed assertion');
  t.match(output, 'FAIL  empty.test.ts: exited with status 0 before any test');
  t.match(output, 'FAIL  no-tests.test.ts: exited with status 0 before any test');
  t.match(output, 'FAIL  status.test.ts: exited with status 3 without a failed assertion');
  t.match(output, 'FAIL  too-few.test.ts: exited with status 0 without a failed assertion');
  t.match(output, 'FAIL  throws.test.ts: exited with status 1 before any test');
  t.match(output, /^\s+at .*throws\.test\.ts:1:/m, 'stderr is part of the report');
  t.match(output, /^ok {4}passes\.test\.ts \(1 tests, /m);
});

void t.test('the processor time of a file includes the processes that it started', async (t) => {
  const spin = 'for (const end = process.cpuUsage().user + 3e5; process.cpuUsage().user < end;);';
  const child = `import { execFileSync } from 'node:child_process';
    execFileSync(process.execPath, ['-e', ${JSON.stringify(spin)}]);\n${PASSING}`;
  const { times } = await runFiles(t, { 'child.test.ts': child }, { jobs: 1 });
  t.equal(times.length, 1);
  const { processorSeconds = 0 } = times[0] ?? {};
  if (process.platform === 'linux') t.ok(processorSeconds > 0.3, `${processorSeconds} s`);
});

void t.test('files that need nothing run while a server starts', async (t) => {
  const folder = t.testdirName;
  const [ran, marker] = [join(folder, 'ran'), join(folder, 'started')];
  const server = waitUntil('the file that needs nothing', () => existsSync(ran)).then(() => {
    writeFileSync(marker, '');
  });
  const files = {
    'server.test.ts': `import { existsSync } from 'node:fs';
      console.log(existsSync(${JSON.stringify(marker)}) ? 'ok 1 - the server has started' : 'not ok 1', '\\n1..1');`,
    'pure.test.ts': `import { writeFileSync } from 'node:fs';
      writeFileSync(${JSON.stringify(ran)}, '');\n${PASSING}`,
  };
  const { counts, times } = await runFiles(t, files, { ready: { 'server.test.ts': server } });
  t.same(counts, { passed: 2, failed: 0, skipped: 0 });
  t.same(times.map(({ path }) => path).toSorted(), ['pure.test.ts', 'server.test.ts']);
});

void t.test('a server that cannot be started ends the run', async (t) => {
  const ready = { 'server.test.ts': Promise.reject(new Error('no port is free')) };
  await t.rejects(runFiles(t, { 'server.test.ts': PASSING, 'pure.test.ts': PASSING }, { ready }), /no port is free/);
});

void t.test('the slowest files start first, and a new file counts by its size', (t) => {
  const folder = t.testdir({ big: 'x'.repeat(30_000), small: 'x', known: 'x' });
  const [big, small, known] = ['big', 'small', 'known'].map((name) => join(folder, name)) as [string, string, string];
  t.same(sortSlowestFirst([small, known, big], { [known]: 20 }), [big, known, small]);
  t.same(sortSlowestFirst([small, known, big], { [known]: 40 }), [known, big, small]);
  t.end();
});

void t.test('times are kept for files that did not run this time', (t) => {
  const file = join(t.testdir(), 'cache', 'times.json');
  t.same(readTestTimes(file), {}, 'without a file');
  writeTestTimes(file, [{ path: 'a', seconds: 1, processorSeconds: 1 }]);
  writeTestTimes(file, [{ path: 'b', seconds: 2.5, processorSeconds: undefined }]);
  t.same(readTestTimes(file), { a: 1, b: 2.5 });
  t.end();
});

void t.test('the ten slowest files are listed with seconds and processor seconds', (t) => {
  const times = Array.from({ length: 12 }, (_, index) => ({
    path: `file-${index}`,
    seconds: index,
    processorSeconds: index === 11 ? undefined : index / 2,
  }));
  const [, first, second, ...others] = describeSlowest(times);
  t.match(first, /^ +11\.0 +\? {2}file-11$/);
  t.match(second, /^ +10\.0 +5\.0 {2}file-10$/);
  t.equal(others.length, 8);
  t.end();
});
