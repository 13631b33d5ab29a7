// Secrets that are recognised wherever they turn up: the password, the secret of an application credential, the token.
// They go through success, failure, hits, prompts, a broken cache and crashes, with the diagnostics that Node offers
// switched on; and then everything that was written or shown to other users is searched for them.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { pickSize, startProgram } from '../support/stress.ts';
import type { TimedRun } from '../support/stress.ts';
import { PLUGIN_COMMAND, makeExecInfo, makeEnvironment, makeHome, PLUGIN_PATH } from '../support/run-plugin.ts';
import type { Home } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { openTerminal } from '../support/terminal.ts';
import { watchRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(170_000);

type EnvVars = Readonly<Record<string, string>>;

const WRONG = 'canary-wrong-8c1f';

interface CanarySearch {
  readonly home: Home;
  readonly temporary: string;
  /** Everything that must not be found: what the users chose, and each token that was printed. */
  readonly canaries: Set<string>;
  readonly found: string[];
  places: number;
}

function setUpSearch(t: Test, world: TestEnvironment): CanarySearch {
  const home = makeHome();
  t.teardown(() => home.remove());
  const temporary = join(home.path, 'tmp');
  mkdirSync(temporary);
  return { home, temporary, canaries: new Set([...listSecrets(world.tenancy), WRONG]), found: [], places: 0 };
}

function look(search: CanarySearch, place: string, text: string): void {
  search.places += 1;
  const encodings = (canary: string): string[] => [
    canary,
    Buffer.from(canary).toString('base64'),
    encodeURIComponent(canary),
  ];
  for (const canary of search.canaries) {
    if (encodings(canary).some((spelling) => text.includes(spelling)))
      search.found.push(`${place}: ${canary.slice(0, 12)}…`);
  }
}

/** The arguments of all processes, as every user may read them. */
function lookAtProcesses(search: CanarySearch): void {
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let line = '';
    try {
      line = readFileSync(`/proc/${entry}/cmdline`, 'latin1');
    } catch {
      // It has ended.
    }
    // `env -i NAME=VALUE` is the test's own way to start a program, for the moment until it becomes that program.
    if (line.includes(PLUGIN_PATH) && !line.startsWith('/usr/bin/env\0')) look(search, `/proc/${entry}/cmdline`, line);
  }
}

interface ObservedRun {
  readonly args?: readonly string[];
  readonly env: EnvVars;
  readonly kill?: NodeJS.Signals;
}

/** Runs the plugin under observation, with its current folder at home and everything dumped that Node can dump. */
async function observe(search: CanarySearch, { args = [], env, kill }: ObservedRun): Promise<TimedRun> {
  const { home, temporary } = search;
  const all = makeEnvironment(home, { TMPDIR: temporary, ...env });
  const { pid, ended } = startProgram([...PLUGIN_COMMAND, ...args], all, home.path);
  const life = { over: false };
  void ended.then(() => (life.over = true));
  const startedAt = performance.now();
  while (!life.over) {
    lookAtProcesses(search);
    if (kill !== undefined && performance.now() - startedAt > 80) process.kill(pid, kill);
    await sleep(kill === undefined ? 15 : 5);
  }
  const ran = await ended;
  look(search, `stderr of ${args.join(' ')}`, ran.stderr);
  const token = /"token":"([^"]+)"/.exec(ran.stdout)?.[1];
  if (token !== undefined) search.canaries.add(token);
  else look(search, `stdout of ${args.join(' ')}`, ran.stdout);
  return ran;
}

/** Reads every file below the home, in which the current folder and TMPDIR lie. */
function lookAtFiles(t: Test, search: CanarySearch): void {
  const { home } = search;
  for (const name of readdirSync(home.path, { recursive: true, encoding: 'utf8' })) {
    const path = join(home.path, name);
    const stats = statSync(path);
    if (!stats.isFile()) continue;
    if (!name.endsWith('.token')) {
      look(search, name, readFileSync(path, 'latin1'));
      continue;
    }
    t.equal(stats.mode & 0o7777, 0o600, `${name} is private`);
    const others = [...search.canaries].filter((canary) => !canary.startsWith('gAAAA'));
    t.notOk(
      others.some((canary) => readFileSync(path, 'utf8').includes(canary)),
      'a record holds a token and no other secret',
    );
  }
}

function report(t: Test, search: CanarySearch, what: string): void {
  lookAtFiles(t, search);
  t.strictSame([...new Set(search.found)], [], `${what}: nothing found`);
  t.comment(`${what}: ${search.canaries.size} canaries, ${search.places} places, ${search.found.length} found`);
}

const aliceOf = (world: TestEnvironment, url: string): EnvVars => ({
  OS_AUTH_URL: url,
  ...asUser(world.tenancy.users.alice, world.tenancy.domain),
  ...onProject(world.tenancy.projects.demo, world.tenancy.domain),
});

testWithKeystone('success, hits and failures, silent and verbose', async (t, world) => {
  const search = setUpSearch(t, world);
  const url = `${watchRequests(world.http).url}/v3`;
  const alice = aliceOf(world, url);
  const credential = { OS_AUTH_URL: url, ...asApplicationCredential(world.tenancy.applicationCredentials.valid) };
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
    { OS_AUTH_URL: url, OS_TOKEN: token, ...onProject({ name: 'nothing' }, world.tenancy.domain) },
    { ...alice, OS_AUTH_URL: 'http://127.0.0.1:9/v3' },
    { ...alice, OS_AUTH_URL: `${url.replace('/v3', '')}/nothing/v3` },
    { ...alice, OS_AUTH_URL: url.replace('http:', 'https:'), OS_CACERT: '/nonexistent' },
    { ...alice, OS_AUTH_TYPE: 'nonsense' },
  ];
  // A token of the cache would be given whatever the password.
  for (const env of failures) {
    for (const args of [['--force-refresh'], ['-vvv', '--force-refresh']])
      t.not((await observe(search, { args, env })).status, 0, Object.keys(env).join(' '));
  }
  for (const args of [['--help'], ['--version'], ['--nonsense']]) await observe(search, { args, env: alice });
  report(t, search, 'success, hits, failures');
});

testWithKeystone('a broken cache', async (t, world) => {
  const search = setUpSearch(t, world);
  const env = aliceOf(world, `${watchRequests(world.http).url}/v3`);
  t.equal((await observe(search, { env })).status, 0);
  const { cache } = search.home;
  for (const name of readdirSync(cache)) {
    const content = readFileSync(join(cache, name));
    // Cut in the middle, the token is still all there: so it is a canary for what is said about the file.
    writeFileSync(join(cache, name), content.subarray(0, content.length - 3));
    t.equal((await observe(search, { args: ['-vvv'], env })).status, 0, `${name} broken`);
  }
  writeFileSync(join(search.home.path, 'file'), '');
  const away = { ...env, CLIENT_KEYSTONE_AUTH_CACHE_DIR: join(search.home.path, 'file') };
  t.equal((await observe(search, { args: ['-vvv'], env: away })).status, 0, 'no cache at all');
  report(t, search, 'a broken cache');
});

testWithKeystone('prompts', async (t, world) => {
  const search = setUpSearch(t, world);
  const { OS_PASSWORD: password = '', ...env } = aliceOf(world, `${watchRequests(world.http).url}/v3`);
  for (const typed of [WRONG, password]) {
    const terminal = openTerminal({
      file: PLUGIN_COMMAND[0],
      args: [...PLUGIN_COMMAND.slice(1), '-vvv'],
      env: makeEnvironment(search.home, { ...env, TMPDIR: search.temporary }),
      cwd: search.home.path,
    });
    t.teardown(() => terminal.close());
    await terminal.waitFor('Password');
    terminal.type(`${typed}\r`);
    lookAtProcesses(search);
    await terminal.ended;
    // stdout is the terminal here, where the document is to be.
    look(search, 'the screen', terminal.raw());
  }
  report(t, search, 'prompts');
});

testWithKeystone('crashes', async (t, world) => {
  const search = setUpSearch(t, world);
  const env = { ...aliceOf(world, `${watchRequests(world.http).url}/v3`), OS_PASSWORD: WRONG };
  const reports = join(search.home.path, 'reports');
  mkdirSync(reports);
  const signals = ['SIGABRT', 'SIGSEGV', 'SIGTERM', 'SIGUSR2', 'SIGQUIT'] as const;
  for (let round = 0; round < pickSize(5, 1); round += 1) {
    for (const kill of signals) {
      const ran = await observe(search, { args: ['-vvv', '--force-refresh'], env, kill });
      t.not(ran.status, 0, `${kill}: ${ran.signal ?? 'no signal'}`);
    }
  }
  const dumped = readdirSync(search.home.path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(?:^|\/)(?:core|report\.|Heap\.)/.test(name),
  );
  t.strictSame(dumped, [], 'no core, no report, no heap');
  t.ok(existsSync(reports));
  report(t, search, `crashes (${signals.length} signals)`);
});
