/**
 * A kubeconfig from another user can set any variable for its plugin. These tests set each variable that Node, Bun,
 * OpenSSL or ICU read. No code runs, no file appears, nothing leaks, and TLS stays strict. The first tests show that most
 * variables affect a plain Node and a plain Bun, so that the other tests cannot pass by accident. LD_PRELOAD and similar variables are
 * out of scope, because no program can refuse them.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import { fetchPackageFile } from '../../scripts/lib/npm-package.ts';
import { SCRUBBED_BUN_NAMES } from '../../scripts/package/bun-binary/scrub-bun-names.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { SCRUBBED_NAMES } from '../../scripts/package/node-binary/scrub-env-names.ts';
import { runInWorkers } from '../support/stress.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { GET_PODS_ARGS, POD_LINE } from '../support/kubectl-fixture.ts';
import { makeAliceSettings, setUpKubectl, testWithKubectl } from '../support/kubectl-fixture.ts';
import { EXIT_STATUS, PASSWORD } from '../support/check-run.ts';
import { checkFailure, checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeIsolatedCommand, PACKAGED_EXECUTABLE, PLUGIN_PATH, RUNTIME, runPlugin } from '../support/run-plugin.ts';
import { makeHome } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { listSecrets } from '../support/login-settings.ts';
import type { StandInKeystone } from '../support/stand-in-keystone.ts';

const skip =
  PACKAGED_EXECUTABLE === undefined
    ? 'npm test -- --packaged'
    : skipWithout('C compiler', () => canRun('cc', '--version'));

interface HostileVariables {
  /** The content of the folder before a run. */
  readonly folder: string;
  readonly variables: readonly (readonly [name: string, value: string])[];
}

const SPRUNG = 'sprung';

/** Sets up code that writes a file when it runs, and variables that name this code. */
function setUpHostileVariables(t: Test): HostileVariables {
  const folder = t.testdir({ hooks: {} });
  const at = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const address = JSON.stringify(join(folder, SPRUNG));
  const script = at('hook.cjs', `require('node:fs').writeFileSync(${address}, process.argv0);`);
  const source = at(
    'library.c',
    `#include <stdio.h>\n__attribute__((constructor)) static void spring(void) { FILE *f = fopen(${address}, "w"); if (f) fclose(f); }\n`,
  );
  const library = join(folder, 'library.so');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
  const openssl = at(
    'openssl.cnf',
    `openssl_conf = all\nnodejs_conf = all\n[all]\nproviders = providers\n[providers]\nlibrary = library\n[library]\nmodule = ${library}\nactivate = 1\n`,
  );
  const authority = at('none.pem', 'no certificate\n');
  const other = (name: string): string => join(folder, name);
  return {
    folder,
    variables: [
      ['NODE_OPTIONS', `--require ${script}`],
      ['NODE_OPTIONS', `--import ${script}`],
      ['NODE_OPTIONS', '--inspect=127.0.0.1:0'],
      ['NODE_OPTIONS', `--tls-keylog=${other('keys')} --trace-event-categories=node`],
      ['NODE_OPTIONS', `--report-on-signal --report-on-fatalerror --report-directory=${folder}`],
      ['NODE_DEBUG', '*'],
      ['NODE_DEBUG', 'http,https,tls,net,module'],
      ['NODE_DEBUG_NATIVE', 'CRYPTO,TLS,STREAM,HTTP2,SEA,COMPILE_CACHE,INSPECTOR_SERVER'],
      ['NODE_EXTRA_CA_CERTS', authority],
      ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
      ['NODE_V8_COVERAGE', other('coverage')],
      ['NODE_REPL_EXTERNAL_MODULE', script],
      ['NODE_PATH', folder],
      ['NODE_COMPILE_CACHE', other('compiled')],
      ['NODE_REDIRECT_WARNINGS', other('warnings')],
      ['NODE_PENDING_DEPRECATION', '1'],
      ['NODE_USE_ENV_PROXY', '1'],
      ['NODE_USE_SYSTEM_CA', '1'],
      ['NODE_ICU_DATA', folder],
      ['NODE_UNIQUE_ID', '1'],
      ['NODE_TEST_CONTEXT', 'child-v8'],
      ['NODE_PRESERVE_SYMLINKS', '1'],
      ['ICU_TIMEZONE_FILES_DIR', folder],
      ['OPENSSL_CONF', openssl],
      ['OPENSSL_CONF_INCLUDE', folder],
      ['OPENSSL_MODULES', folder],
      ['OPENSSL_ENGINES', folder],
      ['SSLKEYLOGFILE', other('keys')],
      ['SSL_CERT_DIR', folder],
      ...(RUNTIME === 'bun' ? listBunVariables({ folder, script, other }) : []),
    ],
  };
}

interface HostilePaths {
  readonly folder: string;
  readonly script: string;
  /** Makes the path of a file that must not appear. */
  readonly other: (name: string) => string;
}

function listBunVariables({ folder, script, other }: HostilePaths): HostileVariables['variables'] {
  return [
    ['BUN_BE_BUN', '1'],
    ['BUN_OPTIONS', `--preload ${script}`],
    ['BUN_OPTIONS', '--inspect-wait=127.0.0.1:0'],
    ['BUN_BYTECODE_DIGEST_OUT', other('digest')],
    ['BUN_BYTECODE_ORDER_OUT', other('order')],
    ['BUN_BYTECODE_ORDER_NAMES_OUT', other('names')],
    ['BUN_CONFIG_VERBOSE_FETCH', 'curl'],
    ['BUN_CRASH_REPORT_URL', 'http://127.0.0.1:9/'],
    ['BUN_ENABLE_CRASH_REPORTING', '1'],
    ['BUN_INSPECT', 'ws://127.0.0.1:0/'],
    ['BUN_INSPECT_CONNECT_TO', 'ws+unix://nothing'],
    ['BUN_INSPECT_PRELOAD', script],
    ['BUN_JSC_dumpOptions', '2'],
    ['BUN_JSC_functionOverrides', script],
    ['BUN_JSC_useProfiler', '1'],
    ['BUN_RUNTIME_TRANSPILER_CACHE_PATH', folder],
    ['BUN_TRACE', other('trace')],
    ['BUN_WATCHER_TRACE', other('watcher')],
    ['ICU_DATA', folder],
    ['JSC_PROFILER_PATH', folder],
    ['JSC_SIGNAL_FOR_GC', '10'],
    ['JavaScriptCoreUseJIT', '0'],
    ['NODE_CHANNEL_FD', 'x'],
  ];
}

interface HostileEnvironmentFixture extends HostileVariables {
  readonly pki: Pki;
  readonly keystone: StandInKeystone;
  readonly before: readonly string[];
}

async function setUpHostileEnvironment(t: Test): Promise<HostileEnvironmentFixture> {
  const trap = setUpHostileVariables(t);
  const pki = await makePki(join(t.testdirName, 'pki'));
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  return { ...trap, pki, keystone, before: readdirSync(trap.folder) };
}

/** Checks that a run did nothing that a plain Node would have done. */
function checkNothingHappened(t: Test, { folder, before }: HostileEnvironmentFixture, result: RunResult): void {
  t.strictSame(readdirSync(folder), before, 'no code ran, no file was written');
  t.notOk(result.stderr.includes(PASSWORD));
  t.notMatch(result.stderr, /gAAAA|Debugger listening/);
}

await t.test('a plain Node runs the code', { skip }, async (t) => {
  const { folder, variables } = setUpHostileVariables(t);
  const nothing = join(folder, 'nothing.cjs');
  writeFileSync(nothing, '');
  const appears = (name: string, value: string, file: string): void => {
    const [command, args, options] = makeIsolatedCommand(process.execPath, [nothing], { [name]: value });
    spawnSync(command, args, { ...options, timeout: 300_000 });
    t.ok(existsSync(join(folder, file)), `${name} leaves ${file}`);
    execFileSync('rm', ['-rf', join(folder, file)]);
  };
  const valueOf = (name: string): string => variables.find(([variable]) => variable === name)?.[1] ?? '';
  appears('NODE_OPTIONS', valueOf('NODE_OPTIONS'), SPRUNG);
  appears('OPENSSL_CONF', valueOf('OPENSSL_CONF'), SPRUNG);
  appears('NODE_COMPILE_CACHE', valueOf('NODE_COMPILE_CACHE'), 'compiled');
  appears('NODE_V8_COVERAGE', valueOf('NODE_V8_COVERAGE'), 'coverage');
});

await t.test(
  'a plain Bun runs the code',
  { skip: RUNTIME === 'bun' ? skip : 'the executable is one of Node' },
  async (t) => {
    const { folder, variables } = setUpHostileVariables(t);
    const { name, file } = hostTarget().bun;
    const [bun, nothing] = [join(folder, 'bun'), join(folder, 'nothing.cjs')];
    writeFileSync(bun, await fetchPackageFile(name, file), { mode: 0o755 });
    writeFileSync(nothing, '');
    const start = (variable: string): string => {
      const value = variables.find(([each]) => each === variable)?.[1] ?? '';
      const [command, args, options] = makeIsolatedCommand(bun, [nothing], { [variable]: value });
      return spawnSync(command, args, { ...options, encoding: 'utf8', timeout: 300_000 }).stderr;
    };
    start('BUN_OPTIONS');
    t.ok(existsSync(join(folder, SPRUNG)), 'BUN_OPTIONS runs code');
    t.match(start('BUN_JSC_dumpOptions'), 'dumpOptions', 'BUN_JSC_ sets options of JavaScriptCore');
  },
);

await t.test('the executable does not run the code, neither on a login nor on a cache hit', { skip }, async (t) => {
  const stage = await setUpHostileEnvironment(t);
  const { keystone, pki, variables } = stage;
  const names = new Set(variables.map(([name]) => name));
  const scrubbed = RUNTIME === 'bun' ? SCRUBBED_BUN_NAMES : SCRUBBED_NAMES;
  t.strictSame(
    scrubbed.filter((name) => !names.has(name)),
    [],
    'every scrubbed name is tested',
  );
  for (const [name, value] of variables) {
    const home = makeHome();
    const before = keystone.countLogins();
    const env = {
      ...makeLoginSettings(`${keystone.url}/v3`),
      OS_CACERT: pki.ca,
      [name]: value,
    };
    for (const what of ['login', 'hit']) {
      const result = await runPlugin({ home, env });
      t.comment(`${name}: ${what}`);
      checkSuccess(t, result);
      checkNothingHappened(t, stage, result);
    }
    t.equal(keystone.countLogins() - before, 1, `${name}: one login`);
    home.remove();
  }
});

if (skip === false) {
  testWithKubectl(
    "the executable does not run the code when the kubeconfig's env sets the variables",
    async (t, environment, program) => {
      const { folder, variables } = setUpHostileVariables(t);
      const before = readdirSync(folder);
      const secrets = listSecrets(environment.tenancy);
      await runInWorkers(3, variables, async ([name, value]) => {
        const kubectlFixture = await setUpKubectl(t, environment, { program });
        await kubectlFixture.writeKubeconfig({
          command: PLUGIN_PATH,
          env: makeAliceSettings(environment, kubectlFixture, { [name]: value }),
        });
        for (const what of ['login', 'hit']) {
          const result = await kubectlFixture.kubectl(GET_PODS_ARGS);
          t.match(result, { status: 0, stdout: POD_LINE }, `${name}: ${what}`);
          t.equal(result.stderr, '', `${name}: ${what}`);
          t.notOk(secrets.some((secret) => result.stdout.includes(secret)));
        }
        t.equal(kubectlFixture.countLogins(), 1, `${name}: one login`);
      });
      t.strictSame(readdirSync(folder), before, 'no code ran, no file was written');
    },
    ['new'],
  );
}

await t.test('variables of Node and OpenSSL do not weaken TLS', { skip }, async (t) => {
  const stage = await setUpHostileEnvironment(t);
  const { folder, keystone, pki } = stage;
  const hashed = join(folder, 'hashed');
  mkdirSync(hashed);
  const untrusted = async (env: Readonly<Record<string, string>>): Promise<void> => {
    const home = makeHome();
    const result = await runPlugin({ home, env: { ...makeLoginSettings(`${keystone.url}/v3`), ...env } });
    checkFailure(t, result, EXIT_STATUS.unreachable, { says: ['its certificate is not trusted'] });
    home.remove();
  };
  await untrusted({});
  await untrusted({ NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  await untrusted({ NODE_EXTRA_CA_CERTS: pki.ca });
  await untrusted({ NODE_OPTIONS: '--use-openssl-ca', OS_VERIFY: 'true' });
  t.equal(keystone.countLogins(), 0, 'no password was sent');

  const home = makeHome();
  t.teardown(() => home.remove());
  const login = makeLoginSettings(`${keystone.url}/v3`);
  checkSuccess(t, await runPlugin({ home, env: { ...login, SSL_CERT_FILE: pki.ca } }));
  t.equal(keystone.countLogins(), 1, "SSL_CERT_FILE is this system's list of authorities, as for every other program");
});

const skipNode = RUNTIME === 'bun' ? 'an executable of Bun ignores NODE_CHANNEL_FD' : skip;

await t.test('a Node that a variable makes fail prints nothing of the plugin', { skip: skipNode }, async (t) => {
  // Node itself fails before it runs the plugin, so kubectl gets no token and nothing leaks.
  const { keystone, pki } = await setUpHostileEnvironment(t);
  const home = makeHome();
  t.teardown(() => home.remove());
  const env = { ...makeLoginSettings(`${keystone.url}/v3`), OS_CACERT: pki.ca, NODE_CHANNEL_FD: 'x' };
  const result = await runPlugin({ home, env });
  t.not(result.status, 0);
  t.equal(result.stdout, '');
  t.notOk(result.stderr.includes(PASSWORD));
  t.equal(keystone.countLogins(), 0);
});
