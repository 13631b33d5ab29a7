/** Every command at every level of `-v` and in every format, with every way to log in set: no secret in what it says. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { makeHome, runPlugin } from '../support/run-plugin.ts';
import type { Home, RunResult, EnvVars } from '../support/run-plugin.ts';
import { asApplicationCredential, asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { watchRequests, testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

t.setTimeout(550_000);

const WRONG = 'canary-of-a-wrong-password';
const LEVELS = [[], ['-v'], ['-vv'], ['-vvv'], ['-vvv', '--log-format=json']];
/** Where the answer is data, what stands on stderr is the same. */
const LEVELS_OF_DATA = [[], ['-vvv']];
const IN_CLOUDS = 'canary-in-clouds-yaml';
const IN_KUBECONFIG = 'canary-in-the-kubeconfig';

/** What stands for the arguments that a command must have. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  SHELL: 'bash',
  KIND: 'clouds',
  URL: 'http://127.0.0.1:1/kube-config',
};

/** A token is the very answer of `token`, and of nothing else. */
const ANSWERS_WITH_TOKEN = new Set(['token']);

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

function listWords(): { name: string; words: readonly string[]; formats: readonly string[] }[] {
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

function settings(environment: TestEnvironment): readonly (readonly [what: string, env: EnvVars])[] {
  const { applicationCredentials, domain, projects, users } = environment.tenancy;
  const here = { OS_AUTH_URL: watchRequests(environment.http).url, KUBECONFIG: 'kubeconfig' };
  const onDemo = onProject(projects.demo, domain);
  return [
    ['a password', { ...here, ...asUser(users.alice, domain), ...onDemo }],
    ['a wrong password', { ...here, ...asUser(users.alice, domain), ...onDemo, OS_PASSWORD: WRONG }],
    ['an application credential', { ...here, ...asApplicationCredential(applicationCredentials.valid) }],
    [
      'a contradiction',
      { ...here, ...asUser(users.alice, domain), ...asApplicationCredential(applicationCredentials.valid) },
    ],
  ];
}

testWithKeystone('what commands say', async (t, environment) => {
  let outputs = 0;
  for (const [what, env] of settings(environment)) {
    const home = setUpHome(t);
    for (const { name, words, formats } of listWords()) {
      await t.test(`${what}: ${name}`, async (t) => {
        const token = await findToken(home, env);
        const canaries = [...listSecrets(environment.tenancy), WRONG, IN_KUBECONFIG, IN_CLOUDS];
        const runs = formats.flatMap((format) =>
          (format === 'json' || format === 'yaml' ? LEVELS_OF_DATA : LEVELS).map((level) => [
            ...words,
            ...(format === '' ? [] : ['-o', format]),
            ...level,
          ]),
        );
        const check = async (args: readonly string[]): Promise<void> => {
          const ran: RunResult = await runPlugin({ home, env, args });
          outputs += 2;
          const tokens = token === undefined ? [] : [token];
          t.equal(findLeak(ran.stderr, [...canaries, ...tokens]), undefined, `${args.join(' ')}: stderr`);
          const own = ANSWERS_WITH_TOKEN.has(name) ? [] : tokens;
          t.equal(findLeak(ran.stdout, [...canaries, ...own]), undefined, `${args.join(' ')}: stdout`);
          t.ok(ran.status !== null && ran.status !== 1, `${args.join(' ')}: no crash`);
          t.ok(ran.stdout + ran.stderr !== '', `${args.join(' ')}: it says something`);
        };
        await Promise.all(runs.map(check));
      });
    }
  }
  t.comment(`${outputs} outputs`);
});
