// Searches for canary secrets: passwords, secrets of application credentials, and tokens. The runs cover success,
// failure, cache hits, prompts, a broken cache and crashes. Then everything that was written to files, or was visible
// to other users, is searched.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { PATIENT, pickSize, startProgram } from '../support/stress.ts';
import { forgetSubstitutesOf } from '../support/substitute-folders.ts';
import { startKeystoneForTest } from '../support/check-run.ts';
import { PLUGIN_COMMAND } from '../support/run-plugin.ts';
import { makeExecInfo, makeEnvironment, makeHome } from '../support/home.ts';
import type { Home, EnvVars } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { silence } from '../support/stand-in-faults.ts';
import { openTerminal } from '../support/terminal.ts';
import { watchRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const WRONG = 'canary-wrong-8c1f';

interface CanarySearch {
  readonly home: Home;
  readonly temporary: string;
  /** The texts that must not appear: the secrets of the users, and each printed token. */
  readonly canaries: Set<string>;
  readonly leaks: string[];
  /** The processes that were searched. */
  readonly processes: Set<string>;
  places: number;
}

function setUpSearch(t: Test, environment: TestEnvironment): CanarySearch {
  const home = makeHome();
  t.teardown(() => home.remove());
  const temporary = join(home.path, 'tmp');
  mkdirSync(temporary);
  const canaries = new Set([...listSecrets(environment.tenancy), WRONG]);
  return { home, temporary, canaries, leaks: [], processes: new Set(), places: 0 };
}

function inspect(search: CanarySearch, fixture: string, text: string): void {
  search.places += 1;
  const encodings = (canary: string): string[] => [
    canary,
    JSON.stringify(canary).slice(1, -1),
    // Files and arguments are searched as bytes, and a password need not be ASCII.
    Buffer.from(canary).toString('latin1'),
    Buffer.from(JSON.stringify(canary).slice(1, -1)).toString('latin1'),
    Buffer.from(canary).toString('base64'),
    encodeURIComponent(canary),
  ];
  for (const canary of search.canaries) {
    if (encodings(canary).some((spelling) => text.includes(spelling)))
      search.leaks.push(`${fixture}: ${canary.slice(0, 12)}…`);
  }
}

function readProcFile(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    // The process has ended.
    return '';
  }
}

/**
 * Searches the arguments of the processes with this home, which every user can read. Other test files run at the same
 * time, and one of them has a password in its arguments. Nor does this see the process that starts the plugin with
 * `env -i NAME=VALUE`, until it becomes the plugin.
 */
function inspectProcesses(search: CanarySearch): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (!readProcFile(pid, 'environ').includes(`HOME=${search.home.path}\0`)) continue;
    search.processes.add(pid);
    inspect(search, `/proc/${pid}/cmdline`, readProcFile(pid, 'cmdline'));
  }
}

interface ObservedRun {
  readonly args?: readonly string[];
  readonly env: EnvVars;
  /** Kills the run when the condition is met. */
  readonly kill?: { readonly signal: NodeJS.Signals; readonly when: () => boolean };
}

/** Runs the plugin with its home as the current folder, and searches processes and output meanwhile. */
async function observe(search: CanarySearch, { args = [], env, kill }: ObservedRun): Promise<RunResult> {
  const { home, temporary } = search;
  const all = makeEnvironment(home, { TMPDIR: temporary, ...env });
  const { pid, ended } = startProgram([...PLUGIN_COMMAND, ...args], all, home.path);
  const state = { hasEnded: false };
  void ended.then(() => (state.hasEnded = true));
  let isKilled = false;
  while (!state.hasEnded) {
    inspectProcesses(search);
    // Once: afterward, nobody has this pid, or somebody else.
    if (!isKilled && kill?.when() === true) {
      process.kill(pid, kill.signal);
      isKilled = true;
    }
    await sleep(15);
  }
  const result = await ended;
  inspect(search, `stderr of ${args.join(' ')}`, result.stderr);
  const token = /"token":"([^"]+)"/.exec(result.stdout)?.[1];
  if (token !== undefined) search.canaries.add(token);
  else inspect(search, `stdout of ${args.join(' ')}`, result.stdout);
  return result;
}

/** Searches every file below the home, which contains the current folder and TMPDIR. */
function inspectFiles(t: Test, search: CanarySearch): void {
  const { home } = search;
  for (const name of readdirSync(home.path, { recursive: true, encoding: 'utf8' })) {
    const path = join(home.path, name);
    const stats = statSync(path);
    if (!stats.isFile()) continue;
    if (!name.endsWith('.token')) {
      inspect(search, name, readFileSync(path, 'latin1'));
      continue;
    }
    t.equal(stats.mode & 0o7777, 0o600, `${name} is private`);
    const others = [...search.canaries].filter((canary) => !canary.startsWith('gAAAA'));
    t.notOk(
      others.some((canary) => readFileSync(path, 'utf8').includes(canary)),
      'a record contains a token and no other secret',
    );
  }
}

function report(t: Test, search: CanarySearch, what: string): void {
  inspectFiles(t, search);
  t.ok(search.processes.size > 0, `${what}: processes were searched`);
  t.strictSame([...new Set(search.leaks)], [], `${what}: no leaks`);
  t.comment(`${what}: ${search.canaries.size} canaries, ${search.places} places, ${search.leaks.length} leaks`);
}

const aliceOf = (environment: TestEnvironment, url: string): EnvVars => ({
  OS_AUTH_URL: url,
  ...asUser(environment.tenancy.users.alice, environment.tenancy.domain),
  ...onProject(environment.tenancy.projects.demo, environment.tenancy.domain),
});

testWithKeystone('runs that succeed or fail leak no secret, also with -vvv', async (t, environment) => {
  const search = setUpSearch(t, environment);
  const url = `${watchRequests(environment.http).url}/v3`;
  const alice = aliceOf(environment, url);
  const credential = { OS_AUTH_URL: url, ...asApplicationCredential(environment.tenancy.applicationCredentials.valid) };
  const logins = { password: alice, credential, kubectl: { ...alice, KUBERNETES_EXEC_INFO: makeExecInfo() } };
  for (const [name, env] of Object.entries(logins)) {
    for (const args of [[], [], ['-vvv'], ['-vvv', '--force-refresh'], ['--cache-storage=none']]) {
      t.equal((await observe(search, { args, env })).status, 0, `${name} ${args.join(' ')}`);
    }
  }
  const token = [...search.canaries].at(-1) ?? '';
  const failures: readonly EnvVars[] = [
    { ...alice, OS_PASSWORD: WRONG },
    { ...credential, OS_APPLICATION_CREDENTIAL_SECRET: WRONG },
    { OS_AUTH_URL: url, OS_TOKEN: token, ...onProject({ name: 'nothing' }, environment.tenancy.domain) },
    { ...alice, OS_AUTH_URL: 'http://127.0.0.1:9/v3' },
    { ...alice, OS_AUTH_URL: `${url.replace('/v3', '')}/nothing/v3` },
    { ...alice, OS_AUTH_URL: url.replace('http:', 'https:'), OS_CACERT: '/nonexistent' },
    { ...alice, OS_AUTH_TYPE: 'nonsense' },
  ];
  // Without --force-refresh, a run with a wrong password returns the cached token.
  for (const env of failures) {
    for (const args of [['--force-refresh'], ['-vvv', '--force-refresh']])
      t.not((await observe(search, { args, env })).status, 0, Object.keys(env).join(' '));
  }
  for (const args of [['--help'], ['--version'], ['--nonsense']]) await observe(search, { args, env: alice });
  report(t, search, 'success, hits, failures');
});

testWithKeystone('runs with a broken cache leak no secret', async (t, environment) => {
  const search = setUpSearch(t, environment);
  const env = aliceOf(environment, `${watchRequests(environment.http).url}/v3`);
  t.equal((await observe(search, { env })).status, 0);
  const { cache } = search.home;
  for (const name of readdirSync(cache)) {
    const content = readFileSync(join(cache, name));
    // The truncated file still contains the whole token, so a message that quotes the file would leak it.
    writeFileSync(join(cache, name), content.subarray(0, content.length - 3));
    t.equal((await observe(search, { args: ['-vvv'], env })).status, 0, `${name} broken`);
  }
  writeFileSync(join(search.home.path, 'file'), '');
  const envWithoutCache = { ...env, CLIENT_KEYSTONE_AUTH_CACHE_DIR: join(search.home.path, 'file') };
  t.teardown(() => {
    forgetSubstitutesOf(process.geteuid?.() ?? 0, search.home.path, { env: envWithoutCache, cwd: search.home.path });
  });
  t.equal((await observe(search, { args: ['-vvv'], env: envWithoutCache })).status, 0, 'without a cache');
  report(t, search, 'a broken cache');
});

testWithKeystone('prompts leak no secret', async (t, environment) => {
  const search = setUpSearch(t, environment);
  const { OS_PASSWORD: password = '', ...env } = aliceOf(environment, `${watchRequests(environment.http).url}/v3`);
  for (const answer of [WRONG, password]) {
    const terminal = openTerminal({
      file: PLUGIN_COMMAND[0],
      args: [...PLUGIN_COMMAND.slice(1), '-vvv'],
      env: makeEnvironment(search.home, { ...env, TMPDIR: search.temporary }),
      cwd: search.home.path,
    });
    t.teardown(() => terminal.close());
    await terminal.waitFor('Password');
    terminal.type(`${answer}\r`);
    inspectProcesses(search);
    await terminal.ended;
    // The terminal shows stdout too, which contains the token.
    inspect(search, 'the screen', terminal.raw());
  }
  report(t, search, 'prompts');
});

testWithKeystone('crashes leak no secret', async (t, environment) => {
  const search = setUpSearch(t, environment);
  // The run has sent the password and waits for a response when it crashes.
  const keystone = await startKeystoneForTest(t);
  keystone.answerAlways(silence(), 'POST /v3/auth/tokens');
  const env = { ...aliceOf(environment, `${keystone.url}/v3`), OS_PASSWORD: WRONG };
  const reports = join(search.home.path, 'reports');
  mkdirSync(reports);
  const signals = ['SIGABRT', 'SIGSEGV', 'SIGTERM', 'SIGUSR2', 'SIGQUIT'] as const;
  for (let round = 0; round < pickSize(5, 1); round += 1) {
    for (const signal of signals) {
      const before = keystone.countLogins();
      const kill = { signal, when: () => keystone.countLogins() > before };
      const result = await observe(search, { args: ['-vvv', '--force-refresh', ...PATIENT], env, kill });
      t.not(result.status, 0, `${signal}: ${result.signal ?? 'no signal'}`);
    }
  }
  const dumpFiles = readdirSync(search.home.path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(?:^|\/)(?:core|report\.|Heap\.)/.test(name),
  );
  t.strictSame(dumpFiles, [], 'there is no core dump, report or heap snapshot');
  t.ok(existsSync(reports));
  report(t, search, `crashes (${signals.length} signals)`);
});
