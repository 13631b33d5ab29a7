/**
 * No secret in the output of any command, at every level of `-v`, in every format and with several kinds of settings.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { makeHome } from '../support/home.ts';
import { runPlugin } from '../support/run-plugin.ts';
import type { Home, EnvVars } from '../support/home.ts';
import type { RunResult } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { watchRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(550_000);

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

function setUpHome(t: Test): Home {
  const home = makeHome();
  t.teardown(() => {
    home.remove();
  });
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    clusters: [{ name: 'one', cluster: { server: 'https://127.0.0.1:1' } }],
    contexts: [{ name: 'one', context: { cluster: 'one', user: 'somebody' } }],
    users: [{ name: 'somebody', user: { token: IN_KUBECONFIG } }],
  };
  const folder = join(home.path, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const clouds = { prod: { auth: { password: IN_CLOUDS } } };
  writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify({ clouds }), { mode: 0o600 });
  writeFileSync(join(home.path, 'kubeconfig'), JSON.stringify(kubeconfig), { mode: 0o600 });
  return home;
}

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

async function findToken(home: Home, env: EnvVars): Promise<string | undefined> {
  const { stdout, status } = await runPlugin({ home, env, args: ['token'] });
  return status === 0 ? stdout.trim() : undefined;
}

function listSettings(environment: TestEnvironment): readonly (readonly [what: string, env: EnvVars])[] {
  const { applicationCredentials, domain, projects, users } = environment.tenancy;
  const common = { OS_AUTH_URL: watchRequests(environment.http).url, KUBECONFIG: 'kubeconfig' };
  const onDemo = onProject(projects.demo, domain);
  return [
    ['a password', { ...common, ...asUser(users.alice, domain), ...onDemo }],
    ['a wrong password', { ...common, ...asUser(users.alice, domain), ...onDemo, OS_PASSWORD: WRONG_PASSWORD }],
    ['an application credential', { ...common, ...asApplicationCredential(applicationCredentials.valid) }],
    [
      'contradictory settings',
      { ...common, ...asUser(users.alice, domain), ...asApplicationCredential(applicationCredentials.valid) },
    ],
  ];
}

testWithKeystone('the output of commands', async (t, environment) => {
  let outputs = 0;
  for (const [what, env] of listSettings(environment)) {
    const home = setUpHome(t);
    for (const { name, words, formats } of listCommands()) {
      await t.test(`${what}: ${name}`, async (t) => {
        const token = await findToken(home, env);
        const canaries = [...listSecrets(environment.tenancy), WRONG_PASSWORD, IN_KUBECONFIG, IN_CLOUDS];
        const runs = formats.flatMap((format) =>
          (format === 'json' || format === 'yaml' ? DATA_LEVELS : LEVELS).map((level) => [
            ...words,
            ...(format === '' ? [] : ['-o', format]),
            ...level,
          ]),
        );
        const check = async (args: readonly string[]): Promise<void> => {
          const result: RunResult = await runPlugin({ home, env, args });
          outputs += 2;
          const tokens = token === undefined ? [] : [token];
          t.equal(findLeak(result.stderr, [...canaries, ...tokens]), undefined, `${args.join(' ')}: stderr`);
          const otherTokens = PRINTS_TOKEN.has(name) ? [] : tokens;
          t.equal(findLeak(result.stdout, [...canaries, ...otherTokens]), undefined, `${args.join(' ')}: stdout`);
          t.ok(result.status !== null && result.status !== 1, `${args.join(' ')}: no crash`);
          t.ok(result.stdout + result.stderr !== '', `${args.join(' ')}: some output`);
        };
        await Promise.all(runs.map(check));
      });
    }
  }
  t.comment(`${outputs} outputs`);
});
