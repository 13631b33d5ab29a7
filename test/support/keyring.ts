// A real gnome-keyring, unlocked, on a bus of its own: for what is kept in a keyring, and for one that fails.

import { canRun, startProgram, skipWithout } from './stress.ts';
import type { TimedRun } from './stress.ts';
import type { Home } from './run-plugin.ts';

const programs = ['dbus-run-session', 'gnome-keyring-daemon', 'secret-tool', 'gdbus'];

/** Why a test that needs a keyring is skipped, or false. */
export const KEYRING_MISSING: string | false = skipWithout(
  'a keyring (gnome-keyring, dbus-daemon, libsecret-tools, libglib2.0-bin)',
  () => programs.every((program) => canRun('sh', '-c', `command -v ${program}`)),
);

export interface KeyringScript {
  readonly home: Home;
  readonly env: Readonly<Record<string, string>>;
  /** For sh; `"$@"` is the command, `$daemon` the keyring's process, and `part` ends a part of the output. */
  readonly script: string;
  readonly command: readonly string[];
}

export interface KeyringRun extends TimedRun {
  /** Of stdout. */
  readonly parts: string[];
}

const MARK = '--8<--';

// Autostarted services must find their home here, and nothing may start the user's own keyring.
const prepare = `
  printf secret | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1
  gdbus wait --session --timeout 10 org.freedesktop.secrets
  daemon=$(gdbus call --session --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \\
    --method org.freedesktop.DBus.GetConnectionUnixProcessID org.freedesktop.secrets | tr -dc '0-9 ' | tr -s ' ' '\\n' | tail -n 1)
  part() { printf '\\n${MARK}\\n'; }
  trap 'kill -CONT "$daemon"; kill -KILL "$daemon"' EXIT
`;

/** What to start so that the script runs with the keyring. */
export function makeKeyringCommand(script: string, command: readonly string[]): [string, ...string[]] {
  return ['dbus-run-session', '--', 'sh', '-c', prepare + script, 'sh', ...command];
}

/** Runs a script on a bus of its own with an unlocked keyring. */
export async function runWithKeyring({ home, env, script, command }: KeyringScript): Promise<KeyringRun> {
  const ran = await startProgram(makeKeyringCommand(script, command), env, home.path).ended;
  return { ...ran, parts: ran.stdout.split(`\n${MARK}\n`) };
}

/** What the bus itself writes is not ours. */
export const listPluginLines = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => line.startsWith('client-keystone-auth: '));
