// One user with a real kubectl, a kubeconfig, a stand-in cluster and a real Keystone, for every test that asks what
// kubectl makes of the plugin.

import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { findKubectl } from '../../scripts/lib/find-kubectl.ts';
import { startStandInApiServer, writeKubeconfig } from './stand-in-api-server.ts';
import type { StandInApiServer, KubeconfigOptions } from './stand-in-api-server.ts';
import { makeIsolatedCommand, PLUGIN_COMMAND, makeEnvironment, makeHome } from './run-plugin.ts';
import type { Home, RunResult, EnvVars } from './run-plugin.ts';
import { asUser, onProject } from './login-settings.ts';
import { validateToken } from './tenancy.ts';
import type { TokenFacts } from './tenancy.ts';
import { openTerminal } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { watchRequests, listRequests, testWithKeystone } from './test-environment.ts';
import type { LoggedRequest, TestEnvironment } from './test-environment.ts';

export interface KubectlRun {
  readonly env?: EnvVars;
  readonly input?: string;
  readonly cwd?: string;
}

export interface KubectlFixtureOptions {
  /** The path of a kubectl. */
  readonly program: string;
  /** Who a token is, or undefined for 401; without it Keystone is asked, once for each token. */
  readonly authenticate?: (token: string) => Promise<string | undefined>;
  readonly selfSubjectReviewVersions?: readonly string[];
}

export interface KubectlFixture {
  readonly home: Home;
  readonly api: StandInApiServer;
  /** Whom the cluster let in, by Keystone's word, one for each token. */
  readonly admittedTokens: readonly TokenFacts[];
  /** Keystone's URL for OS_AUTH_URL. */
  readonly keystoneUrl: string;
  /** What Keystone was asked by the plugin. */
  listKeystoneRequests(): readonly LoggedRequest[];
  countLogins(): number;
  writeKubeconfig(options: Omit<KubeconfigOptions, 'path' | 'server' | 'ca'>): Promise<void>;
  /** Without a terminal anywhere; stdin is a pipe. */
  kubectl(args: readonly string[], run?: KubectlRun): Promise<RunResult>;
  /** On a terminal; with `input`, stdin is a pipe nevertheless. */
  kubectlOnTerminal(args: readonly string[], run?: KubectlRun): Terminal;
  /** A shell on a terminal, which gets `kubectl` with the kubeconfig as its `"$@"`. */
  openShell(script: string, run?: Pick<KubectlRun, 'env'>): Terminal;
}

export const CONFIG_MAP_MANIFEST = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"made"},"data":{"a":"1"}}';
export const APPLY_ARGS: readonly string[] = ['apply', '--validate=false', '-f', '-'];
export const GET_PODS_ARGS: readonly string[] = ['get', 'pods'];
export const POD_LINE = /^web-0 +1\/1 +Running/m;

export async function setUpKubectl(
  t: Test,
  world: TestEnvironment,
  { program, authenticate, selfSubjectReviewVersions }: KubectlFixtureOptions,
): Promise<KubectlFixture> {
  const home = makeHome();
  t.teardown(() => home.remove());
  const admittedTokens: TokenFacts[] = [];
  const asked = new Map<string, Promise<TokenFacts | undefined>>();
  const ask = async (token: string): Promise<TokenFacts | undefined> => {
    const facts = await validateToken(world.http, token);
    if (facts !== undefined) admittedTokens.push(facts);
    return facts;
  };
  const askOnce = async (token: string): Promise<string | undefined> => {
    const known = asked.get(token) ?? ask(token);
    asked.set(token, known);
    return (await known)?.user.name;
  };
  const api = await startStandInApiServer({
    ...world.pki.server,
    authenticate: authenticate ?? askOnce,
    ...(selfSubjectReviewVersions === undefined ? {} : { selfSubjectReviewVersions }),
  });
  t.teardown(() => api.close());
  const mark = watchRequests(world.http);
  const path = join(home.path, 'kubeconfig');
  // The plugin's first line looks for node in PATH; the tests' own is to be found first.
  const search = [join(home.path, 'search'), dirname(process.execPath), process.env['PATH']].join(delimiter);
  const environment = (env: EnvVars = {}): Record<string, string> => makeEnvironment(home, { PATH: search, ...env });
  const withConfig = (args: readonly string[]): string[] => ['--kubeconfig', path, ...args];
  const open = (file: string, args: readonly string[], env: EnvVars, cwd = home.path): Terminal => {
    const terminal = openTerminal({ file, args, env, cwd, cols: 200 });
    t.teardown(() => terminal.close());
    return terminal;
  };
  return {
    home,
    api,
    admittedTokens,
    keystoneUrl: `${mark.url}/v3`,
    listKeystoneRequests: () => listRequests(mark),
    countLogins: () => listRequests(mark).filter(({ method }) => method === 'POST').length,
    writeKubeconfig: (options) => writeKubeconfig({ ...options, path, server: api.url, ca: world.pki.ca }),
    kubectl: (args, run = {}) => runDetached(program, withConfig(args), environment(run.env), run),
    kubectlOnTerminal(args, { env, input, cwd } = {}) {
      if (input === undefined) return open(program, withConfig(args), environment(env), cwd);
      const piped = ['-c', 'printf %s "$INPUT" | "$0" "$@"', program, ...withConfig(args)];
      return open('/bin/sh', piped, { ...environment(env), INPUT: input }, cwd);
    },
    openShell: (script, { env } = {}) =>
      open('/bin/sh', ['-c', script, 'sh', program, ...withConfig([])], environment(env)),
  };
}

function runDetached(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  run: KubectlRun,
): Promise<RunResult> {
  // In a session of its own there is no terminal, whoever runs the tests.
  const [command, words, options] = makeIsolatedCommand(file, args, env);
  const child = spawn(command, words, { ...options, cwd: run.cwd ?? env['HOME'], detached: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // A kubectl that fails does not read its input.
  child.stdin.on('error', () => undefined).end(run.input ?? '');
  return new Promise((done, fail) => {
    child.once('error', fail).once('close', (status, signal) => done({ status, signal, stdout, stderr }));
  });
}

/** alice on demo; what is undefined is left out. */
export function makeAliceSettings(
  world: TestEnvironment,
  desk: KubectlFixture,
  changes: EnvVars = {},
): Record<string, string> {
  const { domain, projects, users } = world.tenancy;
  const all: EnvVars = {
    OS_AUTH_URL: desk.keystoneUrl,
    ...asUser(users.alice, domain),
    ...onProject(projects.demo, domain),
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

export interface RecordedRun {
  readonly apiVersion: string;
  readonly spec: { readonly interactive: boolean };
}

/** A plugin that notes what kubectl tells it, before it becomes ours. */
export function makeRecordingPlugin({ home }: KubectlFixture): { command: string; runs: () => RecordedRun[] } {
  const command = join(home.path, 'noting-plugin');
  const notes = join(home.path, 'notes');
  const script = `#!/bin/sh
printf '%s\\n' "$KUBERNETES_EXEC_INFO" >>'${notes}'
exec ${PLUGIN_COMMAND.map((word) => `'${word}'`).join(' ')} "$@"
`;
  writeFileSync(command, script);
  chmodSync(command, 0o700);
  writeFileSync(notes, '');
  return {
    command,
    runs: () =>
      readFileSync(notes, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as RecordedRun),
  };
}

const kubectls = await Promise.all(
  (['new', 'old'] as const).map(async (age) => ({ age, found: await findKubectl(age) })),
);

/** Declares a test for each kubectl, or for those of these ages. */
export function testWithKubectl(
  name: string,
  body: (t: Test, world: TestEnvironment, program: string) => Promise<void>,
  ages: readonly string[] = ['new', 'old'],
): void {
  for (const { age, found } of kubectls.filter((kubectl) => ages.includes(kubectl.age))) {
    if ('missing' in found) void test(`${name} (the ${age} kubectl)`, { skip: found.missing }, () => undefined);
    else testWithKeystone(`${name} (kubectl ${found.version})`, (t, world) => body(t, world, found.path));
  }
}
