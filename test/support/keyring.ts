// Runs a real, unlocked gnome-keyring on a private bus, for tests of the keyring and of its failures.

import { test } from 'tap';
import type { Test } from 'tap';
import { PLUGIN_COMMAND } from './built-programs.ts';
import type { Fixture } from './fixture.ts';
import { makeEnvironment } from './home.ts';
import type { EnvVars } from './home.ts';
import type { RunResult } from './run-plugin.ts';
import { startProgram } from './stress.ts';
import { canRun, skipWithout } from './missing-tools.ts';
import { testWithKeystone } from './test-environment.ts';
import type { TestEnvironment } from './test-environment.ts';

const programs = ['dbus-run-session', 'gnome-keyring-daemon', 'secret-tool', 'gdbus'];

/** The reason to skip tests that need a keyring, or false. */
export const KEYRING_MISSING: string | false = skipWithout(
  'a keyring (gnome-keyring, dbus-daemon, libsecret-tools, libglib2.0-bin)',
  () => programs.every((program) => canRun('sh', '-c', `command -v ${program}`)),
);

export interface KeyringRun extends RunResult {
  /** The parts of stdout. */
  readonly parts: string[];
}

const SEPARATOR = '--8<--';

// The keyring starts with the home of the test and must not be the user's own keyring. The plugin gives a keyring three
// seconds, of which a busy machine must use up as little as possible: so the keyring has stored something before the
// plugin asks, and where it is allowed, both come before other programs.
const prepare = `
  renice -n -10 $$ >/dev/null 2>&1
  printf secret | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1
  gdbus wait --session --timeout 240 org.freedesktop.secrets
  daemon=$(gdbus call --session --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \\
    --method org.freedesktop.DBus.GetConnectionUnixProcessID org.freedesktop.secrets | tr -dc '0-9 ' | tr -s ' ' '\\n' | tail -n 1)
  until printf first | secret-tool store --label=first first entry 2>/dev/null; do sleep 0.1; done
  secret-tool clear first entry
  part() { printf '\\n${SEPARATOR}\\n'; }
  trap 'kill -CONT "$daemon"; kill -KILL "$daemon"' EXIT
`;

/** Makes the command that runs a script with the keyring. */
export function makeKeyringCommand(script: string, command: readonly string[]): [string, ...string[]] {
  return ['dbus-run-session', '--', 'sh', '-c', prepare + script, 'sh', ...command];
}

/** What a script runs with, in addition to the settings of the user. */
export interface KeyringScript {
  readonly env?: EnvVars;
  /** Default: the plugin. */
  readonly command?: readonly string[];
}

/**
 * Runs a script for sh as someone with an unlocked keyring, on a private bus. `"$@"` is the command, `$daemon` is the
 * process of the keyring, and `part` ends a part of the output.
 */
export async function runWithKeyring(
  { home, settings }: Pick<Fixture, 'home' | 'settings'>,
  script: string,
  { env = {}, command = PLUGIN_COMMAND }: KeyringScript = {},
): Promise<KeyringRun> {
  const variables = makeEnvironment(home, { ...settings, ...env });
  const result = await startProgram(makeKeyringCommand(script, command), variables, home.path).ended;
  return { ...result, parts: result.stdout.split(`\n${SEPARATOR}\n`) };
}

/** Declares a test that needs a keyring and the real Keystone. */
export function testWithKeyring(name: string, body: (t: Test, environment: TestEnvironment) => Promise<void>): void {
  if (KEYRING_MISSING === false) testWithKeystone(name, body);
  else void test(name, { skip: KEYRING_MISSING }, () => undefined);
}

/** Lists the lines of the plugin, without those of the bus. */
export const listPluginLines = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => line.startsWith('client-keystone-auth: '));
