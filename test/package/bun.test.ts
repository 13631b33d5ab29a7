/** What differs in an executable of Bun: how it loads its bundles, and what it reads. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { makePki } from '../../scripts/lib/pki.ts';
import { compileWithBun } from '../../scripts/package/bun-binary/executable.ts';
import { hostTarget } from '../../scripts/package/targets.ts';
import { checkSuccess, makeLoginSettings, startKeystoneForTest } from '../support/check-run.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { EnvVars } from '../support/home.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { makeIsolatedCommand, RUNTIME, runPlugin } from '../support/run-plugin.ts';

const run = promisify(execFile);
const skip = RUNTIME === 'bun' ? false : 'npm run package -- --runtime bun, then npm test -- --packaged --made';
const withCompiler = skip === false ? skipWithout('C compiler', () => canRun('cc', '--version')) : skip;

const BUNDLES = readdirSync('dist').filter(
  (name) => !/^(?:client|k8s)-keystone-auth\.cjs$|^kubernetes\.cjs$/.test(name),
);

await t.test('a cache hit runs no bundle of the slow path', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  const home = makeTestHome(t);
  const env = makeLoginSettings(`${keystone.url}/v3`);
  const first = await runPlugin({ home, env });
  checkSuccess(t, first);

  const built = join(t.testdir({}), 'client-keystone-auth');
  const slow = 'throw new Error("the slow path runs");';
  await compileWithBun(hostTarget(), BUNDLES, built, (name, source) => (name === 'slow.cjs' ? slow : source));
  const start = (settings: EnvVars): Promise<{ stdout: string }> => {
    const [file, args, options] = makeIsolatedCommand(built, [], makeEnvironment(home, settings));
    return run(file, args, { ...options, cwd: home.path });
  };
  t.equal((await start(env)).stdout, first.stdout, 'the token comes from the cache');
  await t.rejects(start({ ...env, OS_PROJECT_NAME: 'other' }), /the slow path runs/, 'a cache miss runs the slow path');
});

/** Variables that a run may read besides those of the plugin: what they change is harmless. */
const HARMLESS = [
  // The loader and libraries of the system read these in every program.
  /^(?:GLIBCXX_TUNABLES|LANG|LC_\w+|LANGUAGE|TZ|TZDIR|TERM|RES_OPTIONS|LOCALDOMAIN)$/,
  /^(?:HOME|USER|SHELL|PATH|TMPDIR|TMP|TEMP|XDG_\w+)$/,
  // Colors, which a document never has.
  /^(?:FORCE_COLOR|NO_COLOR|COLORTERM)$/,
  /^NODE_NO_WARNINGS$/,
  // Which instructions of the processor may be used.
  /^(?:OPENSSL_ia32cap|OPENSSL_armcap|SIMDUTF_FORCE_IMPLEMENTATION|WTF_numberOfProcessorCores)$/,
  // Which allocator is used. Bun implements no other part of these variables of macOS.
  /^(?:Malloc\w*|WebKitMallocForceEnabled|WebKitSystemHeapOverrideEnablement)$/,
  /^(?:DYLD_INSERT_LIBRARIES|HYPERFINE_RANDOMIZED_ENVIRONMENT_OFFSET)$/,
  // The authorities of the system.
  /^SSL_CERT_(?:FILE|DIR)$/,
  // The name of a variable that packaging has emptied.
  /^$/,
];

const RECORDER = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
static void record(const char *name) {
  int file = open(RECORD, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file < 0) return;
  if (write(file, name, strlen(name)) >= 0 && write(file, "\\n", 1) >= 0) {}
  close(file);
}
char *getenv(const char *name) {
  record(name);
  return ((char *(*)(const char *))dlsym(RTLD_NEXT, "getenv"))(name);
}
char *secure_getenv(const char *name) {
  record(name);
  return ((char *(*)(const char *))dlsym(RTLD_NEXT, "secure_getenv"))(name);
}
`;

await t.test('it reads no variable that changes what it runs, writes or trusts', { skip: withCompiler }, async (t) => {
  const folder = t.testdir({ 'recorder.c': RECORDER });
  const [record, library] = [join(folder, 'record'), join(folder, 'recorder.so')];
  const source = join(folder, 'recorder.c');
  execFileSync('cc', ['-shared', '-fPIC', `-DRECORD=${JSON.stringify(record)}`, '-o', library, source, '-ldl']);
  const pki = await makePki(join(folder, 'pki'));
  const keystone = await startKeystoneForTest(t, { tls: pki.server });
  const home = makeTestHome(t);
  const login = { ...makeLoginSettings(`${keystone.url}/v3`), LD_PRELOAD: library };
  for (const env of [{ ...login, OS_CACERT: pki.ca }, { ...login, OS_CACERT: pki.ca }, login])
    await runPlugin({ home, env });
  t.equal(keystone.countLogins(), 1, 'a login, a cache hit, and a refusal');
  const names = new Set(readFileSync(record, 'utf8').trim().split('\n'));
  t.ok(names.has('HOME') && names.has('NO_COLOR'), 'the names are recorded');
  t.strictSame(
    [...names].filter((name) => !HARMLESS.some((pattern) => pattern.test(name))),
    [],
  );
});

/** Writes files that Bun would load from the current folder. */
function writeHostileFolder(folder: string): void {
  const sprung = join(folder, 'sprung');
  const code = `require('node:fs').writeFileSync(${JSON.stringify(sprung)}, '')`;
  const files: Readonly<Record<string, string>> = {
    '.env': 'OS_AUTH_URL=http://127.0.0.1:9/v3\nOS_PROJECT_NAME=other\nBUN_OPTIONS=--preload=./hook.js\n',
    '.env.production': 'OS_AUTH_URL=http://127.0.0.1:9/v3\n',
    'bunfig.toml': 'preload = ["./hook.js"]\nlogLevel = "debug"\n[run]\nbun = true\n',
    'hook.js': code,
    'package.json': '{"imports": {"#x": "./hook.js"}, "main": "./hook.js", "type": "module"}',
    'tsconfig.json': '{"compilerOptions": {"paths": {"*": ["./hook.js"]}}}',
    'slow.cjs': code,
    'main.cjs': code,
    'node_modules/got/index.js': code,
  };
  mkdirSync(join(folder, 'node_modules/got'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

await t.test('files in the current folder change nothing', { skip }, async (t) => {
  const keystone = await startKeystoneForTest(t);
  const cwd = t.testdir({});
  writeHostileFolder(cwd);
  const before = readdirSync(cwd);
  const home = makeTestHome(t);
  const env = makeLoginSettings(`${keystone.url}/v3`);
  for (const what of ['login', 'cache hit']) {
    const result = await runPlugin({ home, env, cwd });
    t.comment(what);
    checkSuccess(t, result);
    t.equal(result.stderr, '');
  }
  t.equal(keystone.countLogins(), 1);
  t.strictSame(readdirSync(cwd), before, 'nothing is written there');
});
