/** Opens the user's browser. A failure is not an error, because the terminal shows the address too. */
import { spawn } from 'node:child_process';
import type { Host } from '../../shared/base/host.ts';
import { makeBrowserEnvironment } from '../programs/environment.ts';
import { findTrustedProgram } from '../programs/find-program.ts';

/** A program and its arguments. */
interface Command {
  readonly file: string;
  /** `%s` is replaced with the address. */
  readonly args: readonly string[];
}

/** Returns why the user cannot see a browser of this machine; undefined when the user can. */
export function findBrowserObstacle(host: Host): string | undefined {
  const { platform } = host;
  const env = host.personalVariables();
  const has = (name: string): boolean => (env[name] ?? '') !== '';
  if (has('SSH_CONNECTION') || has('SSH_TTY')) return 'this is a remote session';
  const hasDesktop = platform === 'win32' || platform === 'darwin' || has('DISPLAY') || has('WAYLAND_DISPLAY');
  return hasDesktop ? undefined : 'there is no desktop';
}

/**
 * Reads `BROWSER` as other programs do: commands in order of preference, each with `%s` or the address as last
 * argument. A kubeconfig must not choose them, because they are commands.
 */
function readBrowserVariable(host: Host): Command[] {
  const commands = (host.personalVariables()['BROWSER'] ?? '').split(host.platform === 'win32' ? ';' : ':');
  return commands.flatMap((command) => {
    const [file, ...args] = command.split(/\s+/).filter((word) => word !== '');
    return file === undefined ? [] : [{ file, args: command.includes('%s') ? args : [...args, '%s'] }];
  });
}

function getSystemCommand(host: Host): Command {
  const { platform } = host;
  if (platform === 'darwin') return { file: '/usr/bin/open', args: ['%s'] };
  if (platform !== 'win32') return { file: 'xdg-open', args: ['%s'] };
  // "start" is a shell command: the shell reads "&" as the end of the address.
  const systemRoot = host.personalVariables()['SystemRoot'] ?? String.raw`C:\Windows`;
  return { file: String.raw`${systemRoot}\System32\rundll32.exe`, args: ['url.dll,FileProtocolHandler', '%s'] };
}

/**
 * Starts a command without waiting for its end, in its own session: Ctrl-C in the terminal must not close the browser.
 */
async function startCommand({ file, args }: Command, address: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const argv = args.map((arg) => arg.replaceAll('%s', () => address));
  return new Promise((resolve) => {
    const child = spawn(file, argv, { stdio: 'ignore', detached: true, shell: false, windowsHide: true, env });
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
    child.once('error', () => {
      resolve(false);
    });
  });
}

/**
 * Opens `address` in the user's browser, if the user can see one.
 *
 * Other users of this machine can read the address, as they can read any argument. That is safe: the address contains
 * `state`, `nonce` and the hash of the code verifier, which are useless without the verifier. This process sends the
 * verifier to the provider only (RFC 7636, section 7.1).
 *
 * @returns why no browser was opened
 */
export async function openBrowser(host: Host, address: string): Promise<string | undefined> {
  const obstacle = findBrowserObstacle(host);
  if (obstacle !== undefined) return obstacle;
  // The browser could read anything else as an option, a file or a script.
  if (!/^https?:\/\//.test(address)) return 'the address does not begin with http:// or https://';
  const env = makeBrowserEnvironment(host);
  for (const command of [...readBrowserVariable(host), getSystemCommand(host)]) {
    const file = findTrustedProgram(command.file, host);
    if (file !== undefined && (await startCommand({ ...command, file }, address, env))) return undefined;
  }
  return 'no browser could be started';
}
