// Runs a real, unlocked gnome-keyring on a private bus, for tests of the keyring and of its failures.

import { canRun, startProgram, skipWithout } from './stress.ts';
import type { RunResult } from './run-plugin.ts';
import type { Home } from './home.ts';

const programs = ['dbus-run-session', 'gnome-keyring-daemon', 'secret-tool', 'gdbus'];

/** The reason to skip tests that need a keyring, or false. */
export const KEYRING_MISSING: string | false = skipWithout(
  'a keyring (gnome-keyring, dbus-daemon, libsecret-tools, libglib2.0-bin)',
  () => programs.every((program) => canRun('sh', '-c', `command -v ${program}`)),
);

export interface KeyringScript {
  readonly home: Home;
  readonly env: Readonly<Record<string, string>>;
  /**
   * A script for sh. `"$@"` is the command, `$daemon` is the keyring's process, and `part` ends a part of the output.
   */
  readonly script: string;
  readonly command: readonly string[];
}

export interface KeyringRun extends RunResult {
  /** The parts of stdout. */
  readonly parts: string[];
}

const SEPARATOR = '--8<--';

// The keyring starts with the home of the test and must not be the user's own keyring.
const prepare = `
  printf secret | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1
  gdbus wait --session --timeout 240 org.freedesktop.secrets
  daemon=$(gdbus call --session --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \\
    --method org.freedesktop.DBus.GetConnectionUnixProcessID org.freedesktop.secrets | tr -dc '0-9 ' | tr -s ' ' '\\n' | tail -n 1)
  part() { printf '\\n${SEPARATOR}\\n'; }
  trap 'kill -CONT "$daemon"; kill -KILL "$daemon"' EXIT
`;

/** Makes the command that runs a script with the keyring. */
export function makeKeyringCommand(script: string, command: readonly string[]): [string, ...string[]] {
  return ['dbus-run-session', '--', 'sh', '-c', prepare + script, 'sh', ...command];
}

/** Runs a script on a private bus with an unlocked keyring. */
export async function runWithKeyring({ home, env, script, command }: KeyringScript): Promise<KeyringRun> {
  const result = await startProgram(makeKeyringCommand(script, command), env, home.path).ended;
  return { ...result, parts: result.stdout.split(`\n${SEPARATOR}\n`) };
}

/** Lists the lines of the plugin, without those of the bus. */
export const listPluginLines = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => line.startsWith('client-keystone-auth: '));
