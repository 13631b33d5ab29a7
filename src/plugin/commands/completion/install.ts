/** Installs the completion script where the shell of the user looks for it. */
import { existsSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { ConfigError, getErrorCode, UsageError } from '../../../shared/base/errors.ts';
import type { Host } from '../../../shared/base/host.ts';
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { readTextFile } from '../../kubeconfig/kubeconfig-files.ts';
import { writePrivately } from '../../kubeconfig/write-file.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { Command, CommandResult } from '../command.ts';
import { getCompletionScript, SCRIPT_MARK } from './scripts.ts';
import type { Shell } from './scripts.ts';

/** Where a shell looks for scripts of its user. */
interface UserShell {
  readonly path: string;
  /** What the user must do once so that the shell looks there; empty if nothing. */
  readonly setUp: readonly string[];
}

/** The folders of a user (XDG Base Directory Specification): a relative path does not count. */
function resolveFolder({ env }: Host, variable: string, usual: string): string {
  const folder = env[variable];
  return folder !== undefined && isAbsolute(folder) ? folder : usual;
}

/** The start files of bash-completion, which loads the scripts of users, on Linux, macOS and the BSDs. */
const BASH_COMPLETION = [
  ...['/usr/share', '/usr/local/share', '/opt/homebrew/share', '/run/current-system/sw/share'].map(
    (folder) => `${folder}/bash-completion/bash_completion`,
  ),
  ...['/etc/bash_completion', '/usr/local/etc/profile.d/bash_completion.sh'],
  '/opt/homebrew/etc/profile.d/bash_completion.sh',
];

function findBash(host: Host, home: string): UserShell {
  const data = resolveFolder(host, 'XDG_DATA_HOME', join(home, '.local', 'share'));
  const folder = resolveFolder(host, 'BASH_COMPLETION_USER_DIR', join(data, 'bash-completion'));
  const path = join(folder, 'completions', PROGRAM_NAME);
  const setUp = BASH_COMPLETION.some((file) => existsSync(file))
    ? []
    : [
        'bash-completion, which loads the script, is not installed. Install it, or add this line to ~/.bashrc:',
        `. ${path}`,
      ];
  return { path, setUp };
}

/** Whether a file of the user mentions a folder, also with `~` or `$HOME`. */
function mentions(file: string, folder: string, home: string): boolean {
  const text = readTextFile(file) ?? '';
  const isBelowHome = folder.startsWith(`${home}/`);
  const spellings = ['~', '$HOME', '${HOME}'].map((start) => folder.replace(home, start));
  return [folder, ...(isBelowHome ? spellings : [])].some((spelling) => text.includes(spelling));
}

function findZsh(host: Host, home: string): UserShell {
  const data = resolveFolder(host, 'XDG_DATA_HOME', join(home, '.local', 'share'));
  const folder = join(data, 'zsh', 'site-functions');
  const startFile = join(resolveFolder(host, 'ZDOTDIR', home), '.zshrc');
  const setUp = mentions(startFile, folder, home)
    ? []
    : [
        `zsh does not look there yet. Add these lines to ${startFile}, before the first "compinit" if there is one:`,
        `fpath=(${folder} $fpath)`,
        'autoload -U compinit && compinit',
      ];
  return { path: join(folder, `_${PROGRAM_NAME}`), setUp };
}

function findFish(host: Host, home: string): UserShell {
  const config = resolveFolder(host, 'XDG_CONFIG_HOME', join(home, '.config'));
  return { path: join(config, 'fish', 'completions', `${PROGRAM_NAME}.fish`), setUp: [] };
}

type InstallableShell = Exclude<Shell, 'powershell'>;

const FINDERS: Readonly<Record<InstallableShell, (host: Host, home: string) => UserShell>> = {
  bash: findBash,
  zsh: findZsh,
  fish: findFish,
};

const INSTALLABLE = Object.keys(FINDERS);

const isInstallable = (name: string | undefined): name is InstallableShell =>
  name !== undefined && INSTALLABLE.includes(name);

/** @throws UsageError if no shell is named, and that of the user is another one */
function chooseShell(host: Host, name: string | undefined): InstallableShell {
  const shell = name ?? host.env['SHELL']?.split('/').at(-1);
  if (isInstallable(shell)) return shell;
  throw new UsageError('SHELL does not name bash, zsh or fish', {
    hint: `name the shell: ${INSTALLABLE.map((each) => `"${PROGRAM_NAME} completion install ${each}"`).join(', ')}`,
  });
}

/** @throws ConfigError if the folder where the file would be created belongs to another user, as with `sudo -E` */
function rejectForeignFolder(path: string, { uid }: Host): void {
  let folder = dirname(path);
  while (!existsSync(folder)) folder = dirname(folder);
  if (uid === undefined || statSync(folder).uid === uid) return;
  throw new ConfigError(`${folder} belongs to another user`, { hint: 'run this command as that user' });
}

/**
 * Reads the file that is there, if any.
 *
 * @throws ConfigError if somebody else wrote it
 */
function readOwnScript(path: string, shell: Shell): string | undefined {
  if (!existsSync(dirname(path))) return undefined;
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const text = stats.isFile() ? readTextFile(path) : undefined;
  if (text?.split('\n', 2).some((line) => line.endsWith(SCRIPT_MARK)) === true) return text;
  throw new ConfigError(`${path} was not written by this program, so it stays as it is`, {
    hint: `remove it first, or write the script elsewhere with "${PROGRAM_NAME} completion ${shell} > FILE"`,
  });
}

/** @throws ConfigError if the script cannot be written */
function writeScript(path: string, script: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writePrivately(path, script);
  } catch (error) {
    throw new ConfigError(`${path} cannot be written (${getErrorCode(error)})`, {
      hint: 'correct the permissions of the folder',
    });
  }
}

function install(host: Host, name: string | undefined): CommandResult {
  const shell = chooseShell(host, name);
  const home = host.home();
  if (home === undefined) throw new ConfigError('there is no home folder', { hint: 'set HOME to your home folder' });
  const { path, setUp } = FINDERS[shell](host, home);
  const script = getCompletionScript(shell);
  const before = readOwnScript(path, shell);
  if (before !== script) {
    rejectForeignFolder(path, host);
    writeScript(path, script);
  }
  const state = before === script ? 'up to date' : before === undefined ? 'written' : 'updated';
  return {
    lines: [`${path}: ${state}`, ...(setUp.length === 0 ? [`Open a new ${shell} to use it.`] : setUp)],
    data: { shell, path, state, set_up: setUp },
  };
}

/** Writes the script of a shell into the folder of the user where that shell looks for it. */
export const completionInstallCommand: Command = {
  words: ['completion', 'install'],
  task: 'Set up',
  summary: 'write the completion script to where your shell looks for it',
  details: [
    'It changes no other file. If the shell does not look there yet, it says what to add to your start file. A file ' +
      'that this program did not write stays as it is.',
  ],
  arguments: [{ name: 'SHELL', help: `shell: ${INSTALLABLE.join(', ')}; by default yours`, choices: INSTALLABLE }],
  options: [OUTPUT_OPTION],
  contextUse: 'none',
  getTokenOptions: 'run',
  examples: [
    { line: 'completion install', summary: 'for the shell that SHELL names' },
    { line: 'completion install zsh', summary: 'for zsh' },
  ],
  run: ({ host, args: [shell] }) => Promise.resolve(install(host, shell)),
};
