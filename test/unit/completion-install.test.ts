/** `completion install` writes where each shell looks. */
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { getCompletionScript } from '../../src/plugin/commands/completion/scripts.ts';
import { runInProcess } from '../support/run-in-process.ts';
import type { CommandOutput } from '../support/run-in-process.ts';

type Environment = Readonly<Record<string, string>>;

const install = (home: string, args: readonly string[] = [], env: Environment = {}): Promise<CommandOutput> =>
  runInProcess({ argv: ['completion', 'install', ...args], env, home: () => home, uid: process.getuid?.() });

const FILES = {
  bash: '.local/share/bash-completion/completions/client-keystone-auth',
  zsh: '.local/share/zsh/site-functions/_client-keystone-auth',
  fish: '.config/fish/completions/client-keystone-auth.fish',
} as const;

const SHELLS = ['bash', 'zsh', 'fish'] as const;

void t.test('the script is where the shell looks for it, and a second run changes nothing', async (t) => {
  for (const shell of SHELLS) {
    const home = t.testdir({});
    const path = join(home, FILES[shell]);
    t.match(await install(home, [shell]), { status: 0, stdout: `${path}: written\n`, stderr: '' }, shell);
    t.equal(readFileSync(path, 'utf8'), getCompletionScript(shell));
    const { mtimeMs } = statSync(path);
    t.match(await install(home, [], { SHELL: `/usr/local/bin/${shell}` }), { stdout: `${path}: up to date\n` });
    t.equal(statSync(path).mtimeMs, mtimeMs);
    writeFileSync(path, `${readFileSync(path, 'utf8')}# of an older version\n`);
    t.match(await install(home, [shell]), { stdout: `${path}: updated\n` });
    t.equal(readFileSync(path, 'utf8'), getCompletionScript(shell));
  }
});

void t.test('the folders of XDG, BASH_COMPLETION_USER_DIR and ZDOTDIR are used', async (t) => {
  const home = t.testdir({});
  const other = join(home, 'other');
  const rows: readonly [shell: string, env: Environment, path: string][] = [
    ['bash', { XDG_DATA_HOME: other }, 'other/bash-completion/completions/client-keystone-auth'],
    ['bash', { BASH_COMPLETION_USER_DIR: other }, 'other/completions/client-keystone-auth'],
    ['bash', { XDG_DATA_HOME: 'relative' }, FILES.bash],
    ['zsh', { XDG_DATA_HOME: other }, 'other/zsh/site-functions/_client-keystone-auth'],
    ['fish', { XDG_CONFIG_HOME: other }, 'other/fish/completions/client-keystone-auth.fish'],
    ['fish', { XDG_CONFIG_HOME: '' }, FILES.fish],
  ];
  for (const [shell, env, path] of rows) {
    t.match(await install(home, [shell], env), { status: 0, stdout: `${join(home, path)}: written\n` });
  }
  const zsh = await install(home, ['zsh'], { ZDOTDIR: join(home, 'zdot') });
  t.match(zsh.stdout, join(home, 'zdot', '.zshrc'));
});

void t.test('it says what to add for zsh until the start file mentions the folder', async (t) => {
  const home = t.testdir({});
  const folder = dirname(join(home, FILES.zsh));
  const { stdout } = await install(home, ['zsh']);
  t.match(stdout, `Add these lines to ${join(home, '.zshrc')}`);
  t.match(stdout, `\nfpath=(${folder} $fpath)\nautoload -U compinit && compinit\n`);
  for (const spelling of [folder, '~/.local/share/zsh/site-functions', '$HOME/.local/share/zsh/site-functions']) {
    writeFileSync(join(home, '.zshrc'), `fpath=(${spelling} $fpath)\nautoload -U compinit && compinit\n`);
    const { stdout: text } = await install(home, ['zsh']);
    t.notMatch(text, 'Add these lines', spelling);
    t.match(text, 'Open a new zsh');
  }
  const { stdout: json } = await install(home, ['zsh', '-o', 'json']);
  t.same(JSON.parse(json), { shell: 'zsh', path: join(home, FILES.zsh), state: 'up to date', set_up: [] });
});

void t.test('a file of another origin stays as it is', async (t) => {
  const home = t.testdir({});
  const path = join(home, FILES.fish);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '# my own completions\n');
  t.match(await install(home, ['fish']), {
    status: 3,
    stdout: '',
    stderr: /was not written by this program, so it stays as it is; remove it first, or write the script elsewhere/,
  });
  t.equal(readFileSync(path, 'utf8'), '# my own completions\n');
  const target = join(home, 'dotfiles');
  writeFileSync(target, '# in a repository\n');
  const bash = join(home, FILES.bash);
  mkdirSync(dirname(bash), { recursive: true });
  symlinkSync(target, bash);
  t.match(await install(home, ['bash']), { status: 3, stdout: '' });
  t.equal(readFileSync(target, 'utf8'), '# in a repository\n');
});

void t.test('what cannot be installed is one line that says what to do', async (t) => {
  const home = t.testdir({});
  t.match(await install(home, [], { SHELL: '/bin/tcsh' }), { status: 2, stderr: /completion install zsh/ });
  t.match(await install(home), { status: 2, stderr: /SHELL does not name bash, zsh or fish/ });
  t.match(await install(home, ['powershell']), { status: 2, stderr: /SHELL must be bash or zsh or fish/ });
  t.match(await install(home, ['bash'], { KUBERNETES_EXEC_INFO: '{}' }), {
    status: 2,
    stderr: /can only run get-token/,
  });
  const unwritable = join(home, 'unwritable');
  writeFileSync(unwritable, '');
  t.match(await install(home, ['bash'], { XDG_DATA_HOME: unwritable }), {
    status: 3,
    stderr: /cannot be written \(E[A-Z]+\)/,
  });
  const others = await runInProcess({ argv: ['completion', 'install', 'bash'], home: () => home, uid: 4_000_000 });
  t.match(others, { status: 3, stdout: '', stderr: /belongs to another user/ });
});
