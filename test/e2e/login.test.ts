// `login` on a real terminal with a real Keystone: every prompt, what the next run finds, and the state of the terminal
// and the home after a prompt without an answer.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { checkFailure, EXIT_STATUS, readExecCredential } from '../support/check-run.ts';
import { answer, openTestTerminal } from '../support/answer-prompts.ts';
import { makeTerminalCommand, readStdout } from '../support/browser-login.ts';
import { makeTestHome } from '../support/home.ts';
import type { Home, EnvVars } from '../support/home.ts';
import { asUser, onProject, listSecrets } from '../support/login-settings.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import type { WatchedAddress } from '../support/request-log.ts';
import { runPlugin } from '../support/run-plugin.ts';
import { makeTotpCode, validateToken } from '../support/tenancy.ts';
import { runWithStty } from '../support/terminal.ts';
import type { Terminal, TerminalCommand } from '../support/terminal.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import type { TestEnvironment } from '../support/test-environment.ts';

const DOWN = '\x1b[B';
const CTRL_C = '\x03';

interface LoginFixture {
  readonly home: Home;
  readonly address: WatchedAddress;
  /** `login`, with stdout in a file. */
  readonly command: (env?: EnvVars, args?: readonly string[]) => TerminalCommand;
  readonly readStdout: () => string;
}

function setUpLogin(t: Test, { http }: TestEnvironment): LoginFixture {
  const home = makeTestHome(t);
  return {
    home,
    address: watchRequests(http),
    command: (settings = {}, args = []) => makeTerminalCommand({ home, settings }, 'login', ...args),
    readStdout: () => readStdout({ home }),
  };
}

function writeClouds({ home, address }: LoginFixture): void {
  const folder = join(home.path, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  const cloud = (name: string, url: string): string => `  ${name}:\n    auth:\n      auth_url: ${url}\n`;
  writeFileSync(
    join(folder, 'clouds.yaml'),
    `clouds:\n${cloud('dev', 'http://127.0.0.1:1/v3')}${cloud('prod', `${address.url}/v3`)}`,
  );
}

const countLogins = (address: WatchedAddress): number =>
  listRequests(address).filter(({ method, path }) => method === 'POST' && path.includes('/auth/tokens')).length;

async function checkDone(
  t: Test,
  terminal: Terminal,
  environment: TestEnvironment,
  { readStdout }: LoginFixture,
): Promise<string> {
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  for (const secret of listSecrets(environment.tenancy)) {
    t.notOk(terminal.raw().includes(secret), 'no secret on the terminal');
    t.notOk(readStdout().includes(secret), 'no secret on stdout');
  }
  t.notMatch(readStdout(), /\x1b|\? /, 'no prompt on stdout');
  t.notMatch(terminal.screen(), /Token expires/, 'the result is on stdout');
  return readStdout();
}

/** Returns the printed flags as a shell reads them. */
async function readFlags(t: Test, stdout: string, home: Home): Promise<string[]> {
  const [, flags = ''] = /^Flags for next time +(.+)$/m.exec(stdout) ?? [];
  t.not(flags, '', 'the output has the flags to set');
  const terminal = openTestTerminal(t, {
    file: '/bin/sh',
    args: ['-c', `printf '%s\\n' ${flags} >flags`],
    env: {},
    cwd: home.path,
  });
  await terminal.ended;
  return readFileSync(join(home.path, 'flags'), 'utf8').trimEnd().split('\n');
}

testWithKeystone('login prompts for the URL of a Keystone that is no cloud', async (t, environment) => {
  const fixture = setUpLogin(t, environment);
  const { alice } = environment.tenancy.users;
  writeClouds(fixture);
  const terminal = openTestTerminal(t, fixture.command());
  await answer(terminal, '? Cloud:', `${DOWN}${DOWN}`);
  await answer(terminal, '? Keystone URL:', fixture.address.url);
  await answer(terminal, '? How to log in:', '');
  await answer(terminal, '? User name', 'alice');
  await answer(terminal, '? Domain of the user', environment.tenancy.domain.name);
  await answer(terminal, '? Password', alice.password);
  await answer(terminal, '? Project:', DOWN);
  const stdout = await checkDone(t, terminal, environment, fixture);
  t.notMatch(terminal.screen(), 'warning', 'nobody is told to choose a cloud');
  const args = await readFlags(t, stdout, fixture.home);
  t.strictSame(
    args.filter((flag) => /^--(?:keystone-url|os-cloud)=/.test(flag)),
    [`--keystone-url=${fixture.address.url}`],
  );
  readExecCredential(t, (await runPlugin({ home: fixture.home, args })).stdout);
  t.equal(countLogins(fixture.address), 2, 'one to list the projects, and one with a project');
});

testWithKeystone('login prompts for cloud, method, user, password and project', async (t, environment) => {
  const fixture = setUpLogin(t, environment);
  const { alice } = environment.tenancy.users;
  const { domain, projects } = environment.tenancy;
  writeClouds(fixture);
  const terminal = openTestTerminal(t, fixture.command());
  await answer(terminal, '? Cloud:', DOWN);
  await answer(terminal, '? How to log in:', '');
  await answer(terminal, `? User name at ${fixture.address.url}/v3:`, 'alice');
  await answer(terminal, '? Domain of the user', domain.name);
  await answer(terminal, '? Password', alice.password);
  await answer(terminal, '? Project:', DOWN);
  const stdout = await checkDone(t, terminal, environment, fixture);
  t.match(stdout, new RegExp(`^User +alice \\(${alice.id}, domain ${domain.name}\\)$`, 'm'));
  t.match(stdout, new RegExp(`^Project +other \\(${projects.other.id}, domain ${domain.name}\\)$`, 'm'));
  t.match(stdout, /^Token expires +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(in \d+ min/m);
  t.notMatch(stdout, /keyring/, 'no secret is saved without an option');
  t.match(terminal.screen(), /✔ Cloud: prod\n/);
  t.match(terminal.screen(), /✔ How to log in: a user and a password \(password\)\n/);

  const before = listRequests(fixture.address).length;
  const args = await readFlags(t, stdout, fixture.home);
  t.strictSame(args, [
    '--os-cloud=prod',
    '--project-name=other',
    `--project-domain-id=${domain.id}`,
    '--user-name=alice',
    `--user-domain-name=${domain.name}`,
  ]);
  const next = await runPlugin({ home: fixture.home, args });
  const { token } = readExecCredential(t, next.stdout);
  t.match(await validateToken(environment.http, token), { user: { id: alice.id }, project: { id: projects.other.id } });
  const incomplete = await runPlugin({ home: fixture.home });
  t.equal(
    readExecCredential(t, incomplete.stdout).token,
    token,
    'the same token for a run with the same incomplete settings',
  );
  t.equal(listRequests(fixture.address).length, before, 'no request to Keystone');
});

testWithKeystone('login does not prompt for options that are set, or for the only project', async (t, environment) => {
  const fixture = setUpLogin(t, environment);
  const { users, domain, projects } = environment.tenancy;
  const env = { OS_AUTH_URL: fixture.address.url, ...asUser(users.alice, domain), ...onProject(projects.demo, domain) };
  const all = openTestTerminal(t, fixture.command(env));
  const stdout = await checkDone(t, all, environment, fixture);
  t.equal(all.raw(), '', 'no prompt');
  t.notMatch(stdout, /Flags for next time/, 'there is nothing to set');

  const { mfa } = users;
  const one = openTestTerminal(t, fixture.command({ OS_AUTH_URL: fixture.address.url, ...asUser(mfa, domain) }));
  await answer(one, '? Passcode', makeTotpCode(mfa.totpSecret, Date.now()));
  t.match(await checkDone(t, one, environment, fixture), /^Project +demo /m, 'the only project is used');
  t.notMatch(one.screen(), /\? Project/);
});

testWithKeystone('login prompts for a passcode if that method was chosen', async (t, environment) => {
  const fixture = setUpLogin(t, environment);
  const { users, domain } = environment.tenancy;
  const terminal = openTestTerminal(t, fixture.command({ OS_AUTH_URL: `${fixture.address.url}/v3` }));
  // Typing filters the list.
  await answer(terminal, '? How to log in:', 'a user and the passcode of an authenticator');
  await answer(terminal, '? User name', users.phone.name);
  await answer(terminal, '? Domain of the user', domain.name);
  const code = makeTotpCode(users.phone.totpSecret, Date.now());
  await answer(terminal, '? Passcode', code);
  const stdout = await checkDone(t, terminal, environment, fixture);
  t.notOk(terminal.raw().includes(code), 'the passcode is not echoed');
  t.match(stdout, /^User +phone /m);
  const args = await readFlags(t, stdout, fixture.home);
  t.ok(args.includes('--auth-type=v3totp'), args.join(' '));
  const env = { OS_AUTH_URL: `${fixture.address.url}/v3` };
  t.match(
    (await runPlugin({ home: fixture.home, args, env })).stdout,
    /ExecCredential/,
    'the next run does not prompt',
  );
  t.equal(countLogins(fixture.address), 2, 'one login, and one request to rescope the token');
});

testWithKeystone('the default project is suggested, and another can be chosen', async (t, environment) => {
  const fixture = setUpLogin(t, environment);
  const { users, domain, projects } = environment.tenancy;
  const env = { OS_AUTH_URL: fixture.address.url, ...asUser(users.alice, domain) };
  const terminal = openTestTerminal(t, fixture.command(env, ['-o', 'json']));
  await answer(terminal, '? Project:', 'oth');
  const result = JSON.parse(await checkDone(t, terminal, environment, fixture)) as object;
  t.match(result, {
    project: { id: projects.other.id },
    keyring: null,
    settings: {
      args: ['--project-name=other', `--project-domain-id=${domain.id}`],
      env: { OS_PROJECT_NAME: 'other', OS_PROJECT_DOMAIN_ID: domain.id },
    },
  });
  // The settings are complete without a project, so the choice does not change them.
  const withoutProject = await runPlugin({ home: fixture.home, env });
  const { token } = readExecCredential(t, withoutProject.stdout);
  t.equal(
    (await validateToken(environment.http, token))?.project,
    undefined,
    'no project unless the settings name one',
  );
});

testWithKeystone('without a terminal, one line names what to set', async (t, environment) => {
  const fixture = setUpLogin(t, environment);
  const { home, address } = fixture;
  const { users, domain } = environment.tenancy;
  const login = (env: EnvVars): ReturnType<typeof runPlugin> => runPlugin({ home, args: ['login'], env });
  const password = { ...asUser(users.alice, domain), OS_AUTH_URL: address.url };
  checkFailure(t, await login({ ...password, OS_PASSWORD: undefined }), EXIT_STATUS.interaction, {
    says: ['password is not set and there is no terminal to prompt on; set OS_PASSWORD'],
  });
  checkFailure(t, await login({}), EXIT_STATUS.interaction, { says: ['Keystone URL, user name', 'set OS_AUTH_URL'] });
  t.equal(listRequests(address).length, 0, 'no request before all settings are complete');
  checkFailure(t, await login(password), EXIT_STATUS.interaction, {
    says: [
      'project is not set and there is no terminal to prompt on; set OS_PROJECT_NAME (--project-name) to demo, other',
    ],
  });
  writeClouds(fixture);
  checkFailure(t, await login({}), EXIT_STATUS.interaction, {
    says: ['cloud is not set and there is no terminal to prompt on; set OS_CLOUD (--os-cloud) to dev, prod'],
  });
  t.notOk(existsSync(home.cache), 'nothing is cached');
  const bob = await login({ ...asUser(users.bob, domain), OS_AUTH_URL: address.url });
  t.match(
    bob,
    { status: 0, stderr: '', stdout: /^Project +demo /m },
    'a user with a default project does not need to set one',
  );
});

testWithKeystone('options that exclude each other or are not valid are rejected', async (t, environment) => {
  const { home } = setUpLogin(t, environment);
  for (const [args, says] of [
    [['--role=member'], '--role is only for a new application credential; add --create-application-credential'],
    [
      ['--save-secret', '--create-application-credential'],
      '--save-secret and --create-application-credential exclude each other',
    ],
    [['--create-application-credential', '--expires=soon'], '--expires must be a number with a unit'],
    [['--create-application-credential', '--expires=999w'], '--expires must be a number with a unit'],
    [['--create-application-credential', '--access-rule=everything'], '--access-rule must be METHOD:SERVICE:PATH'],
  ] as const) {
    checkFailure(t, await runPlugin({ home, args: ['login', ...args] }), 2, { says: [says] });
  }
});

interface Stop {
  readonly question: string;
  readonly env: (environment: TestEnvironment, fixture: LoginFixture) => EnvVars;
  /** The prompts before it, and their answers. */
  readonly first?: readonly (readonly [question: string, keys: string])[];
}

const url = (_environment: TestEnvironment, { address }: LoginFixture): EnvVars => ({ OS_AUTH_URL: address.url });

const STOPS: readonly Stop[] = [
  {
    question: '? Cloud:',
    env: (_environment, fixture) => {
      writeClouds(fixture);
      return {};
    },
  },
  { question: '? How to log in:', env: url },
  { question: '? Keystone URL:', env: () => ({}), first: [['? How to log in:', '']] },
  { question: '? User name', env: url, first: [['? How to log in:', '']] },
  {
    question: '? Domain of the user',
    env: (environment, fixture) => ({ ...url(environment, fixture), OS_USERNAME: 'alice' }),
  },
  {
    question: '? Password',
    env: (environment, fixture) => ({
      ...url(environment, fixture),
      ...asUser(environment.tenancy.users.alice, environment.tenancy.domain),
      OS_PASSWORD: undefined,
    }),
  },
  {
    question: '? Project:',
    env: (environment, fixture) => ({
      ...url(environment, fixture),
      ...asUser(environment.tenancy.users.alice, environment.tenancy.domain),
    }),
  },
  {
    question: '? Passcode',
    env: (environment, fixture) => ({
      ...url(environment, fixture),
      ...asUser(environment.tenancy.users.mfa, environment.tenancy.domain),
    }),
  },
];

for (const { question, env, first = [] } of STOPS) {
  testWithKeystone(`Ctrl-C at the prompt "${question}" ends the login and stores nothing`, async (t, environment) => {
    const fixture = setUpLogin(t, environment);
    const shown: { raw?: string } = {};
    const run = await runWithStty(fixture.command(env(environment, fixture)), async (terminal) => {
      for (const [earlier, keys] of first) await answer(terminal, earlier, keys);
      await terminal.waitFor(question);
      terminal.type(CTRL_C);
      await terminal.waitFor('canceled at the prompt');
      shown.raw = terminal.raw();
    });
    t.equal(run.exitCode, EXIT_STATUS.canceled, run.screen);
    t.equal(run.after, run.before, 'the terminal is restored');
    t.match(run.screen, /\nclient-keystone-auth: canceled at the prompt\n$/);
    t.not((shown.raw ?? '').match(/\x1b\[\?25[hl]/g)?.at(-1), '\x1b[?25l', 'the cursor is visible');
    t.equal(fixture.readStdout(), '', 'nothing on stdout');
    const names = readdirSync(fixture.home.path, { recursive: true, encoding: 'utf8' });
    t.notOk(
      names.some((name) => /\.(?:token|alias|kept|refused)$/.test(name)),
      `nothing is stored: ${names.join(', ')}`,
    );
    for (const secret of listSecrets(environment.tenancy)) t.notOk((shown.raw ?? '').includes(secret));
  });
}

for (const name of ['SIGTERM', 'SIGHUP', 'SIGTSTP'] as const) {
  testWithKeystone(`${name} at a list leaves the terminal as it was`, async (t, environment) => {
    const fixture = setUpLogin(t, environment);
    const { users, domain } = environment.tenancy;
    const stops = name === 'SIGTSTP';
    const env = { OS_AUTH_URL: fixture.address.url, ...asUser(users.alice, domain) };
    const run = await runWithStty(fixture.command(env), async (terminal) => {
      await terminal.waitFor('? Project:');
      terminal.signal(name);
      if (stops) await answer(terminal, '? Project:', '');
    });
    t.equal(run.exitCode, stops ? 0 : 128 + constants.signals[name], run.screen);
    t.equal(run.after, run.before, 'the terminal is restored');
    t.strictSame(run.whileStopped, stops ? [run.before] : [], 'the terminal is restored while stopped');
    t.match(fixture.readStdout(), stops ? /^Project +demo/m : /^$/);
  });
}
