/** The test runner of this project: what it starts for a test file, and how it counts. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { isPackagedTest, listDecidedTests } from '../../scripts/lib/packaged-tests.ts';
import { runTestProcesses } from '../../scripts/lib/run-test-files.ts';
import { makeBatches } from '../../scripts/lib/test-batch.ts';
import type { Counts, FileTime } from '../../scripts/lib/test-report.ts';
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

void t.test('for each end-to-end test, it is decided whether it runs with the executable', (t) => {
  const decided = listDecidedTests();
  const files = readdirSync('test/e2e').map((name) => `test/e2e/${name}`);
  t.same(
    files.filter((file) => file.endsWith('.test.ts') && !decided.includes(file)),
    [],
    'scripts/lib/packaged-tests.ts names it, with the reason',
  );
  t.same(
    decided.filter((file) => !existsSync(file)),
    [],
    'each of these files exists',
  );
  t.ok(isPackagedTest('test/package/sbom.test.ts'));
  t.ok(isPackagedTest('test/e2e/fast-path.test.ts'));
  t.notOk(isPackagedTest('test/e2e/worked-examples.test.ts'));
  t.notOk(isPackagedTest('test/unit/jwt.test.ts'));
  t.end();
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
  readonly env?: Readonly<Record<string, string>>;
  readonly jobs?: number;
  /** Of files that need something. */
  readonly ready?: Readonly<Record<string, Promise<unknown>>>;
  /** All files run in one process. They use tap. */
  readonly isBatch?: boolean;
}

/** Runs test files that print TAP. */
async function runFiles(
  t: Test,
  files: Readonly<Record<string, string>>,
  { env: more = {}, jobs, ready = {}, isBatch = false }: RunSettings = {},
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
  const env = { PATH: process.env['PATH'], ...more };
  const paths = Object.keys(files);
  const times = await runTestProcesses(
    isBatch
      ? [{ paths, env }]
      : paths.map((path) => {
          const needed = ready[path];
          return needed === undefined ? { paths: [path], env } : { paths: [path], env, ready: needed };
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
  t.match(output, /^FAIL {2}a\.test\.ts \(2 tests, 2 assertions, [\d.]+ s, [\d.]+ processor s\)$/m);
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

const useTap = (...lines: readonly string[]): string => ["import t from 'tap';", ...lines].join('\n');

void t.test('the files of a batch run in one process, and each has a result of its own', async (t) => {
  const files = {
    'first.test.ts': useTap(
      "void t.test('nested', (t) => { t.pass('one'); t.pass('two'); t.end(); });",
      't.teardown(() => { globalThis.pids = [process.pid]; });',
    ),
    'fails.test.ts': useTap("void t.test('nested', (t) => { t.equal(1, 2, 'wrong'); t.end(); });"),
    'empty.test.ts': '',
    'throws.test.ts': "throw new Error('at its top level');",
    'slow.test.ts': useTap('await new Promise((resolve) => setTimeout(resolve, 500));', "t.pass('loaded late');"),
    'last.test.ts': useTap("t.same(globalThis.pids, [process.pid], 'the same process');"),
  };
  const { counts, output, times } = await runFiles(t, files, { isBatch: true });
  t.same(counts, { passed: 4, failed: 3, skipped: 0 });
  t.match(output, /^ok {4}first\.test\.ts \(1 tests, 2 assertions, [\d.]+ s, [\d.]+ processor s\)$/m);
  t.match(output, 'FAIL  fails.test.ts > nested > wrong\n');
  t.match(output, /^FAIL {2}fails\.test\.ts \(1 tests, 0 assertions, /m);
  t.match(output, 'FAIL  empty.test.ts: ended before any test\n');
  t.match(output, /^FAIL {2}throws\.test\.ts > throws\.test\.ts cannot be loaded$/m);
  t.match(output, /at its top level/);
  t.match(output, /^ok {4}slow\.test\.ts \(1 tests, 1 assertions, /m);
  t.match(output, /^ok {4}last\.test\.ts \(1 tests, 1 assertions, /m);
  t.same(
    times.map(({ path }) => path),
    Object.keys(files),
  );
});

void t.test('what is a secret in a file of a batch is an ordinary word in the next one', async (t) => {
  const module = pathToFileURL('src/shared/base/secret.ts').href;
  const files = {
    'first.test.ts': useTap(
      `import { redact, Secret } from '${module}';`,
      "t.equal(String(new Secret('password')), '[redacted]');",
      "t.equal(redact('a password'), 'a [redacted]');",
    ),
    'last.test.ts': useTap(`import { redact } from '${module}';`, "t.equal(redact('a password'), 'a password');"),
  };
  const { counts } = await runFiles(t, files, { isBatch: true });
  t.same(counts, { passed: 3, failed: 0, skipped: 0 });
});

void t.test('a file that ends its process fails, and so do the files of the batch that did not run', async (t) => {
  const files = {
    'first.test.ts': useTap("t.pass('fine');"),
    'exits.test.ts': useTap("void t.test('nested', (t) => { t.pass('fine'); process.kill(process.pid, 'SIGKILL'); });"),
    'last.test.ts': useTap("t.pass('fine');"),
  };
  const { counts, output } = await runFiles(t, files, { isBatch: true });
  t.match(output, /^ok {4}first\.test\.ts /m);
  t.match(output, /^FAIL {2}exits\.test\.ts \(/m);
  t.match(output, 'FAIL  last.test.ts: did not run, because the process of exits.test.ts was ended by SIGKILL');
  t.equal(counts.failed, 2);
});

void t.test('an error that nobody handles belongs to the test that runs', async (t) => {
  // Keeps the process alive until the error ends the test.
  const wait = `const timer = setInterval(() => undefined, 1000);
    t.teardown(() => { clearInterval(timer); });
    await new Promise(() => undefined);`;
  const nest = (body: string): string => `void t.test('outer', async (t) => {
    await t.test('first', (t) => { t.pass('fine'); t.end(); });
    await t.test('second', async (t) => { ${body} ${wait} });
    await t.test('third', (t) => { t.pass('still runs'); t.end(); });
  });`;
  const files = {
    'error.test.ts': useTap(nest("setTimeout(() => { throw new Error('thrown late'); });")),
    'rejection.test.ts': useTap(nest("void Promise.reject(new Error('rejected'));")),
  };
  // As the runner has it bundled for this test.
  const env = { CKA_TAP_BUNDLE: fileURLToPath(import.meta.resolve('tap')) };
  const { counts, output } = await runFiles(t, files, { env });
  t.match(output, 'FAIL  error.test.ts > outer > second > thrown late\n');
  t.match(output, 'FAIL  rejection.test.ts > outer > second > rejected\n');
  t.same(counts, { passed: 4, failed: 2, skipped: 0 });
});

void t.test('the types of a module are stripped once, and again after a change', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cka-stripped-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const run = (lastLine: string): Promise<Outcome> => {
    const lines = [
      "const place: string = 'module';",
      "console.log(place === 'folder' ? 'ok 1' : 'not ok 1', '\\n1..1');",
    ];
    return runFiles(t, { 'typed.test.ts': [...lines, lastLine].join('\n') }, { env: { CKA_STRIPPED_MODULES: folder } });
  };
  t.equal((await run('')).counts.passed, 0);
  const [file = '', ...others] = readdirSync(folder).map((name) => join(folder, name));
  t.same(others, []);
  writeFileSync(file, readFileSync(file, 'utf8').replace("= 'module'", "= 'folder'"));
  t.equal((await run('')).counts.passed, 1, 'the second process reads it from the folder');
  const changed = await run("throw new Error('in the third line');");
  t.equal(changed.counts.passed, 0, 'and a changed module as it is now');
  t.match(changed.output, /at .*typed\.test\.ts:3:7/, 'with its lines and columns');
  t.equal(readdirSync(folder).length, 1, 'a path has one file');
});

void t.test('the files of batches are spread by their time', (t) => {
  const seconds: Readonly<Record<string, number>> = { a: 5, b: 3, c: 2, d: 1 };
  t.same(
    makeBatches(Object.keys(seconds), 2, (file) => seconds[file] ?? 0),
    [
      ['a', 'd'],
      ['b', 'c'],
    ],
  );
  t.same(
    makeBatches(['a'], 4, () => 1),
    [['a']],
  );
  t.same(
    makeBatches([], 4, () => 1),
    [],
  );
  t.end();
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
  t.same(sortSlowestFirst([[small], [known], [big]], { [known]: 20 }), [[big], [known], [small]]);
  t.same(sortSlowestFirst([[small], [known], [big]], { [known]: 40 }), [[known], [big], [small]]);
  t.same(sortSlowestFirst([[big], [small, known]], { [known]: 30 }), [[small, known], [big]], 'a batch is a sum');
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
