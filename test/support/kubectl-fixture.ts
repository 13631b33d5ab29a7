// One user with a real kubectl, a kubeconfig, a stand-in cluster and a real Keystone, for tests of kubectl with the
// plugin.

import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { collectResult } from '../../scripts/lib/child-result.ts';
import { requireKubectl } from './missing-tools.ts';
import { startStandInApiServer, writeKubeconfig } from './stand-in-api-server.ts';
import type { StandInApiServer, KubeconfigOptions } from './stand-in-api-server.ts';
import { makeIsolatedCommand, PLUGIN_COMMAND } from './run-plugin.ts';
import { makeEnvironment, makeTestHome } from './home.ts';
import type { Home, EnvVars } from './home.ts';
import type { RunResult } from './run-plugin.ts';
import { asUser, onProject } from './login-settings.ts';
import { validateToken } from './tenancy.ts';
import type { TokenFacts } from './tenancy.ts';
import { openTerminal } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { watchRequests, listRequests } from './request-log.ts';
import { testWithKeystone } from './test-environment.ts';
import type { LoggedRequest } from './request-log.ts';
import type { TestEnvironment } from './test-environment.ts';

export interface KubectlRun {
  readonly env?: EnvVars;
  readonly input?: string;
  readonly cwd?: string;
}

export interface KubectlFixtureOptions {
  /** The path of a kubectl. */
  readonly program: string;
  /** Returns the user of a token, or undefined for 401. By default it asks Keystone, once for each token. */
  readonly authenticate?: (token: string) => Promise<string | undefined>;
  readonly selfSubjectReviewVersions?: readonly string[];
}

export interface KubectlFixture {
  readonly home: Home;
  readonly api: StandInApiServer;
  /** What Keystone says about each token that the cluster accepted. */
  readonly admittedTokens: readonly TokenFacts[];
  /** The URL of Keystone, for OS_AUTH_URL. */
  readonly keystoneUrl: string;
  /** The requests of the plugin to Keystone. */
  listKeystoneRequests(): readonly LoggedRequest[];
  countLogins(): number;
  writeKubeconfig(options: Omit<KubeconfigOptions, 'path' | 'server' | 'ca'>): Promise<void>;
  /** Runs kubectl without a terminal; stdin is a pipe. */
  kubectl(args: readonly string[], run?: KubectlRun): Promise<RunResult>;
  /** Runs kubectl on a terminal; with `input`, its stdin is a pipe. */
  kubectlOnTerminal(args: readonly string[], run?: KubectlRun): Terminal;
  /** Runs a shell script on a terminal, with the kubectl command and its kubeconfig as `"$@"`. */
  openShell(script: string, run?: Pick<KubectlRun, 'env'>): Terminal;
}

export const CONFIG_MAP_MANIFEST = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"made"},"data":{"a":"1"}}';
export const APPLY_ARGS: readonly string[] = ['apply', '--validate=false', '-f', '-'];
export const GET_PODS_ARGS: readonly string[] = ['get', 'pods'];
export const POD_LINE = /^web-0 +1\/1 +Running/m;

export async function setUpKubectl(
  t: Test,
  environment: TestEnvironment,
  { program, authenticate, selfSubjectReviewVersions }: KubectlFixtureOptions,
): Promise<KubectlFixture> {
  const home = makeTestHome(t);
  const admittedTokens: TokenFacts[] = [];
  const responses = new Map<string, Promise<TokenFacts | undefined>>();
  const ask = async (token: string): Promise<TokenFacts | undefined> => {
    const facts = await validateToken(environment.http, token);
    if (facts !== undefined) admittedTokens.push(facts);
    return facts;
  };
  const askOnce = async (token: string): Promise<string | undefined> => {
    const response = responses.get(token) ?? ask(token);
    responses.set(token, response);
    return (await response)?.user.name;
  };
  const api = await startStandInApiServer({
    ...environment.pki.server,
    authenticate: authenticate ?? askOnce,
    ...(selfSubjectReviewVersions === undefined ? {} : { selfSubjectReviewVersions }),
  });
  t.teardown(() => api.close());
  const address = watchRequests(environment.http);
  const path = join(home.path, 'kubeconfig');
  // The first line of the plugin looks for node on the PATH; the Node of the tests must come first.
  const search = [join(home.path, 'search'), dirname(process.execPath), process.env['PATH']].join(delimiter);
  const makeEnv = (env: EnvVars = {}): Record<string, string> => makeEnvironment(home, { PATH: search, ...env });
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
    keystoneUrl: `${address.url}/v3`,
    listKeystoneRequests: () => listRequests(address),
    countLogins: () => listRequests(address).filter(({ method }) => method === 'POST').length,
    writeKubeconfig: (options) => writeKubeconfig({ ...options, path, server: api.url, ca: environment.pki.ca }),
    kubectl: (args, run = {}) => runDetached(program, withConfig(args), makeEnv(run.env), run),
    kubectlOnTerminal(args, { env, input, cwd } = {}) {
      if (input === undefined) return open(program, withConfig(args), makeEnv(env), cwd);
      const piped = ['-c', 'printf %s "$INPUT" | "$0" "$@"', program, ...withConfig(args)];
      return open('/bin/sh', piped, { ...makeEnv(env), INPUT: input }, cwd);
    },
    openShell: (script, { env } = {}) =>
      open('/bin/sh', ['-c', script, 'sh', program, ...withConfig([])], makeEnv(env)),
  };
}

function runDetached(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  run: KubectlRun,
): Promise<RunResult> {
  // A session of its own has no terminal, even if the tests run on one.
  const [command, words, options] = makeIsolatedCommand(file, args, env);
  const child = spawn(command, words, { ...options, cwd: run.cwd ?? env['HOME'], detached: true });
  const result = collectResult(child);
  // A kubectl that fails does not read its input.
  child.stdin.on('error', () => undefined).end(run.input ?? '');
  return result;
}

/** The settings of alice on the project demo, with changes; undefined removes a variable. */
export function makeAliceSettings(
  environment: TestEnvironment,
  fixture: KubectlFixture,
  changes: EnvVars = {},
): Record<string, string> {
  const { domain, projects, users } = environment.tenancy;
  const all: EnvVars = {
    OS_AUTH_URL: fixture.keystoneUrl,
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

/** Makes a plugin that records KUBERNETES_EXEC_INFO and then runs the real plugin. */
export function makeRecordingPlugin({ home }: KubectlFixture): { command: string; runs: () => RecordedRun[] } {
  const command = join(home.path, 'recording-plugin');
  const log = join(home.path, 'recorded-runs');
  const script = `#!/bin/sh
printf '%s\\n' "$KUBERNETES_EXEC_INFO" >>'${log}'
exec ${PLUGIN_COMMAND.map((word) => `'${word}'`).join(' ')} "$@"
`;
  writeFileSync(command, script);
  chmodSync(command, 0o700);
  writeFileSync(log, '');
  return {
    command,
    runs: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as RecordedRun),
  };
}

const kubectls = await Promise.all(
  (['new', 'old'] as const).map(async (age) => ({ age, kubectl: await requireKubectl(age) })),
);

/** Declares a test for each version of kubectl, or for these versions. */
export function testWithKubectl(
  name: string,
  body: (t: Test, environment: TestEnvironment, program: string) => Promise<void>,
  ages: readonly string[] = ['new', 'old'],
): void {
  for (const { age, kubectl } of kubectls.filter((one) => ages.includes(one.age))) {
    if ('missing' in kubectl) void test(`${name} (the ${age} kubectl)`, { skip: kubectl.missing }, () => undefined);
    else
      testWithKeystone(`${name} (kubectl ${kubectl.version})`, (t, environment) => body(t, environment, kubectl.path));
  }
}
