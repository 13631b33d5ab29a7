/**
 * No secret in the output of any command, at every level of `-v`, in every format and with several kinds of settings.
 */
import type { Test } from 'tap';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { setUp } from '../support/fixture.ts';
import type { Fixture } from '../support/fixture.ts';
import type { EnvVars } from '../support/home.ts';
import { asAliceOnDemo, asApplicationCredential, asUser, listSecrets } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { runBundles } from '../support/run-bundles.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const WRONG_PASSWORD = 'canary-of-a-wrong-password';
const LEVELS = [[], ['-v'], ['-vv'], ['-vvv'], ['-vvv', '--log-format=json']];
/** With JSON or YAML on stdout, stderr is the same as with text, so fewer levels suffice. */
const DATA_LEVELS = [[], ['-vvv']];
const IN_CLOUDS = 'canary-in-clouds-yaml';
const IN_KUBECONFIG = 'canary-in-the-kubeconfig';

/** Values for required arguments. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  SHELL: 'bash',
  KIND: 'clouds',
  URL: 'http://127.0.0.1:1/kube-config',
};

/** Commands that print the token itself. */
const PRINTS_TOKEN = new Set(['token']);

const FILES = {
  '.config/openstack/clouds.yaml': { clouds: { prod: { auth: { password: IN_CLOUDS } } } },
  kubeconfig: {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    clusters: [{ name: 'one', cluster: { server: 'https://127.0.0.1:1' } }],
    contexts: [{ name: 'one', context: { cluster: 'one', user: 'somebody' } }],
    users: [{ name: 'somebody', user: { token: IN_KUBECONFIG } }],
  },
};

function listCommands(): { name: string; words: readonly string[]; formats: readonly string[] }[] {
  return COMMANDS.map(({ words, arguments: own = [], options }) => ({
    name: words.join(' '),
    words: [
      ...words,
      ...own.flatMap(({ name, required }) => (required === true ? [ARGUMENTS[name] ?? name.toLowerCase()] : [])),
    ],
    formats: options.some(({ name }) => name === 'output') ? ['text', 'json', 'yaml'] : [''],
  }));
}

function findLeak(text: string, canaries: readonly string[]): string | undefined {
  return canaries.find((canary) =>
    [canary, encodeURIComponent(canary), Buffer.from(canary).toString('base64')].some((spelling) =>
      text.includes(spelling),
    ),
  );
}

async function findToken(user: Fixture): Promise<string | undefined> {
  const { stdout, status } = await user.run('token');
  return status === 0 ? stdout.trim() : undefined;
}

function listSettings({ tenancy }: TestEnvironment): readonly (readonly [what: string, settings: EnvVars])[] {
  const { applicationCredentials, domain, users } = tenancy;
  const byCredential = asApplicationCredential(applicationCredentials.valid);
  return [
    ['a password', asAliceOnDemo(tenancy)],
    ['a wrong password', { ...asAliceOnDemo(tenancy), OS_PASSWORD: WRONG_PASSWORD }],
    ['an application credential', byCredential],
    ['contradictory settings', { ...asUser(users.alice, domain), ...byCredential }],
  ];
}

/** All argument lists with which a command is run. */
function listRuns({ words, formats }: ReturnType<typeof listCommands>[number]): readonly (readonly string[])[] {
  return formats.flatMap((format) =>
    (format === 'json' || format === 'yaml' ? DATA_LEVELS : LEVELS).map((level) => [
      ...words,
      ...(format === '' ? [] : ['-o', format]),
      ...level,
    ]),
  );
}

function checkOutput(
  t: Test,
  { stdout, stderr, status }: RunResult,
  args: readonly string[],
  canaries: { readonly ofStdout: readonly string[]; readonly ofStderr: readonly string[] },
): void {
  t.equal(findLeak(stderr, canaries.ofStderr), undefined, `${args.join(' ')}: stderr`);
  t.equal(findLeak(stdout, canaries.ofStdout), undefined, `${args.join(' ')}: stdout`);
  t.ok(status !== null && status !== 1, `${args.join(' ')}: no crash`);
  t.ok(stdout + stderr !== '', `${args.join(' ')}: some output`);
}

/**
 * With one of the settings, the most verbose run of each command is in a process of its own, which shows what Node
 * itself prints.
 */
function needsProcess(args: readonly string[], isFirst: boolean): boolean {
  return isFirst && args.at(-1) === '-vvv' && !args.includes('json') && !args.includes('yaml');
}

testWithKeystone('no command prints a secret, at any level and in any format', async (t, environment) => {
  const secrets = [...listSecrets(environment.tenancy), WRONG_PASSWORD, IN_KUBECONFIG, IN_CLOUDS];
  let outputs = 0;
  for (const [index, [what, settings]] of listSettings(environment).entries()) {
    const keystone = watchRequests(environment.http);
    const needs = { keystone, settings: { ...settings, KUBECONFIG: 'kubeconfig' }, files: FILES, path: '' };
    const asProcess = setUp(t, { ...needs, runner: runPlugin });
    const inProcess = setUp(t, { ...needs, runner: runBundles, home: asProcess.home });
    for (const command of listCommands()) {
      const { name } = command;
      await t.test(`${name} prints no secret with ${what}`, async (t) => {
        const token = await findToken(inProcess);
        const ofStderr = [...secrets, ...(token === undefined ? [] : [token])];
        const canaries = { ofStderr, ofStdout: PRINTS_TOKEN.has(name) ? secrets : ofStderr };
        const check = async (args: readonly string[]): Promise<void> => {
          const user = needsProcess(args, index === 0) ? asProcess : inProcess;
          checkOutput(t, await user.run(...args), args, canaries);
          outputs += 2;
        };
        await Promise.all(listRuns(command).map(check));
      });
    }
  }
  t.comment(`${outputs} outputs`);
});
