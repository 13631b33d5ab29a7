/** Opens the user's browser. That it cannot be opened is no failure: the address is shown in any case. */
import { spawn } from 'node:child_process';
import type { Host } from '../../shared/base/host.ts';

/** A program and what stands before the address. */
interface Command {
  readonly file: string;
  /** `%s` stands for the address. */
  readonly args: readonly string[];
}

/** What a browser has no business with: our settings, and whatever else looks like a secret. */
const KEPT_FROM_IT =
  /^OS_|^CLIENT_KEYSTONE_AUTH_|^KUBERNETES_|^NODE_OPTIONS$|PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_KEY/i;

/** Why no browser of this machine would be seen; undefined where one would. */
export function findBrowserObstacle({ env, platform }: Host): string | undefined {
  const has = (name: string): boolean => (env[name] ?? '') !== '';
  if (has('SSH_CONNECTION') || has('SSH_TTY')) return 'this is a remote session';
  const desktop = platform === 'win32' || platform === 'darwin' || has('DISPLAY') || has('WAYLAND_DISPLAY');
  return desktop ? undefined : 'there is no desktop';
}

/** `BROWSER` as other programs read it: commands, best first, each with `%s` or the address behind it. */
function readBrowserVariable({ env, platform }: Host): Command[] {
  const commands = (env['BROWSER'] ?? '').split(platform === 'win32' ? ';' : ':');
  return commands.flatMap((command) => {
    const [file, ...args] = command.split(/\s+/).filter((word) => word !== '');
    return file === undefined ? [] : [{ file, args: command.includes('%s') ? args : [...args, '%s'] }];
  });
}

function systemCommand({ env, platform }: Host): Command {
  if (platform === 'darwin') return { file: '/usr/bin/open', args: ['%s'] };
  if (platform !== 'win32') return { file: 'xdg-open', args: ['%s'] };
  // Not "start", which is the shell's and would read "&" as the end of the address.
  const root = env['SystemRoot'] ?? String.raw`C:\Windows`;
  return { file: String.raw`${root}\System32\rundll32.exe`, args: ['url.dll,FileProtocolHandler', '%s'] };
}

function cleanEnvironment(env: Host['env']): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !KEPT_FROM_IT.test(name)));
}

/** Starts one command without waiting for it, in a session of its own: Ctrl-C here must not close the browser there. */
async function start({ file, args }: Command, address: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const words = args.map((arg) => arg.replaceAll('%s', () => address));
  return new Promise((done) => {
    const child = spawn(file, words, { stdio: 'ignore', detached: true, shell: false, windowsHide: true, env });
    child.once('spawn', () => {
      child.unref();
      done(true);
    });
    child.once('error', () => {
      done(false);
    });
  });
}

/**
 * Opens `address` in the user's browser, if there is one to be seen.
 *
 * Other users of this machine can read the address, as any argument. It may: what it holds are `state`, `nonce` and the
 * hash of the code verifier. None of them opens anything without the verifier, which never leaves this process but for
 * the provider (RFC 7636, section 7.1).
 *
 * @returns why none was opened
 */
export async function openBrowser(host: Host, address: string): Promise<string | undefined> {
  const hidden = findBrowserObstacle(host);
  if (hidden !== undefined) return hidden;
  // What begins otherwise could be an option, a file or a script to the program that gets it.
  if (!/^https?:\/\//.test(address)) return 'the address is none of the web';
  const env = cleanEnvironment(host.env);
  for (const command of [...readBrowserVariable(host), systemCommand(host)]) {
    if (await start(command, address, env)) return undefined;
  }
  return 'no browser could be started';
}
