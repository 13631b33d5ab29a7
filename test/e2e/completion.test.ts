/** Real shells on a real terminal complete names that only the program knows. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { getCompletionScript } from '../../src/plugin/commands/completion/scripts.ts';
import type { Shell } from '../../src/plugin/commands/completion/scripts.ts';
import { PROGRAM_NAME } from '../../src/shared/base/program.ts';
import { canRun, skipWithout } from '../support/missing-tools.ts';
import { PLUGIN_COMMAND, runPlugin } from '../support/run-plugin.ts';
import { makeEnvironment, makeTestHome } from '../support/home.ts';
import type { Home } from '../support/home.ts';
import { openTerminal } from '../support/terminal.ts';
import type { Terminal } from '../support/terminal.ts';
import { watchRequests, listRequests } from '../support/request-log.ts';
import { testWithKeystone } from '../support/test-environment.ts';
import { PATIENT } from '../support/stress.ts';

const HOSTILE = '$(touch owned)';

/** Makes a home with a clouds.yaml, and a PATH with the plugin. */
function setUpCompletion(
  t: Test,
  clouds: Readonly<Record<string, object>>,
): { home: Home; env: Record<string, string> } {
  const home = makeTestHome(t);
  const bin = join(home.path, 'bin');
  mkdirSync(bin);
  writeFileSync(
    join(bin, PROGRAM_NAME),
    // Keystone may be slow on a busy machine, and completion waits for two seconds only.
    `#!/bin/sh
if [ "$1" = complete ]; then shift; set -- complete ${PATIENT.join(' ')} "$@"; fi
exec ${PLUGIN_COMMAND.map((word) => `'${word}'`).join(' ')} "$@"
`,
  );
  chmodSync(join(bin, PROGRAM_NAME), 0o755);
  const folder = join(home.path, '.config', 'openstack');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'clouds.yaml'), JSON.stringify({ clouds }), { mode: 0o600 });
  const env = makeEnvironment(home, { PATH: `${bin}:/usr/bin:/bin`, TERM: 'xterm' });
  return { home, env };
}

/** How to start each shell, and how it loads a completion script. */
const SHELLS: readonly {
  readonly shell: Shell;
  readonly args: readonly string[];
  readonly load: (folder: string, file: string) => string;
  readonly file: string;
}[] = [
  {
    shell: 'bash',
    args: ['--norc', '--noprofile'],
    file: 'plugin.bash',
    load: (folder, file) => `. ${join(folder, file)}`,
  },
  {
    shell: 'zsh',
    args: ['-f'],
    file: '_client-keystone-auth',
    load: (folder) => `fpath=(${folder} $fpath); autoload -U compinit; compinit -D -u`,
  },
  {
    shell: 'fish',
    args: ['--no-config'],
    file: 'plugin.fish',
    load: (folder, file) => `source ${join(folder, file)}`,
  },
];

async function startShell(
  { shell, args, file, load }: (typeof SHELLS)[number],
  home: Home,
  env: Readonly<Record<string, string>>,
): Promise<Terminal> {
  const folder = join(home.path, shell);
  mkdirSync(folder);
  writeFileSync(join(folder, file), getCompletionScript(shell));
  const terminal = openTerminal({ file: shell, args, env, cwd: home.path, cols: 200 });
  terminal.type(`${load(folder, file)}; echo lo''aded\r`);
  await terminal.waitFor('loaded');
  return terminal;
}

for (const one of SHELLS) {
  const { shell } = one;
  const skip = skipWithout(shell, () => canRun(shell, '--version'));
  await t.test(`${shell} completes the names of clouds, and runs none as a command`, { skip }, async (t) => {
    const { home, env } = setUpCompletion(t, { production: {}, 'two words': {}, [HOSTILE]: {} });
    const terminal = await startShell(one, home, env);
    terminal.type(`echo ${PROGRAM_NAME}; ${PROGRAM_NAME} --os-cloud pro\t`);
    await terminal.waitFor('--os-cloud production');
    terminal.type('\x15');
    terminal.type(`${PROGRAM_NAME} --os-cloud two\t`);
    await terminal.waitFor(/--os-cloud (?:two\\ words|'two words')/);
    terminal.type('\x15');
    terminal.type(`${PROGRAM_NAME} --os-cloud \t\t`);
    await terminal.waitFor('touch');
    terminal.type('\x15exit\r');
    await terminal.ended;
    t.notOk(existsSync(join(home.path, 'owned')), 'a name is not run as a command');
  });

  await t.test(`${shell} completes commands, flags, their values and files`, { skip }, async (t) => {
    const { home, env } = setUpCompletion(t, {});
    writeFileSync(join(home.path, 'authority.pem'), '');
    const terminal = await startShell(one, home, env);
    const rows: readonly [typed: string, shown: string][] = [
      ['whoa', 'whoami'],
      ['kubeconfig conv', 'kubeconfig convert'],
      ['help kubeconfig sho', 'help kubeconfig show'],
      ['help opti', 'help options'],
      ['whoami --outp', 'whoami --output'],
      ['whoami -o js', 'whoami -o json'],
      ['--cache-storage keyr', '--cache-storage keyring'],
      ['--cache-storage=keyr', '--cache-storage=keyring'],
      ['--auth-type v3to', '--auth-type v3to'],
      ['--cacert autho', '--cacert authority.pem'],
      ['--cacert=autho', '--cacert=authority.pem'],
    ];
    for (const [typed, shown] of rows) {
      terminal.type(`${PROGRAM_NAME} ${typed}\t`);
      await terminal.waitFor(shown);
      terminal.type('\x15');
    }
    terminal.type('exit\r');
    await terminal.ended;
    t.pass('completed');
  });
}

testWithKeystone('projects are completed with a cached token, and completion never logs in', async (t, environment) => {
  const { alice } = environment.tenancy.users;
  const address = watchRequests(environment.http);
  const { domain, projects } = environment.tenancy;
  const { home, env } = setUpCompletion(t, {
    one: {
      auth: {
        auth_url: address.url,
        username: alice.name,
        password: alice.password,
        user_domain_name: domain.name,
        project_name: projects.demo.name,
        project_domain_name: domain.name,
      },
    },
  });
  const complete = (): ReturnType<typeof runPlugin> =>
    runPlugin({ home, args: ['complete', ...PATIENT, '--', '--os-cloud=one', '--project-name', ''] });
  t.match(await complete(), { status: 0, stdout: 'words\n' });
  t.equal(listRequests(address).length, 0, 'no token, no request');
  t.match(await runPlugin({ home, args: ['--os-cloud=one'] }), { status: 0 });
  const names = (await complete()).stdout.split('\n');
  t.ok(names.includes(projects.demo.name));
  t.equal(listRequests(address).filter(({ method }) => method === 'POST').length, 1);

  for (const one of SHELLS) {
    await t.test(
      `${one.shell} completes the name of a project`,
      { skip: skipWithout(one.shell, () => canRun(one.shell, '--version')) },
      async (t) => {
        const terminal = await startShell(one, home, env);
        terminal.type(`${PROGRAM_NAME} --os-cloud one --project-name ${projects.demo.name.slice(0, 3)}\t`);
        await terminal.waitFor(`--project-name ${projects.demo.name}`);
        terminal.type('\x15exit\r');
        await terminal.ended;
        t.pass('completed');
      },
    );
  }
});
