// Runs a real, unlocked gnome-keyring on a private bus, for tests of the keyring and of its failures.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import type { Test } from 'tap';
import { PLUGIN_COMMAND } from './built-programs.ts';
import type { Fixture } from './fixture.ts';
import { makeEnvironment } from './home.ts';
import type { EnvVars, Home } from './home.ts';
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

/** A file in the home: while it exists, the keyring is not expected to answer. */
export const SILENCE = 'keyring-is-silent';

/**
 * Removes the limit of three seconds while the keyring answers: a busy machine may need longer to start the process that
 * asks it. A packaged executable keeps the limit.
 */
const PATIENCE = `
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const childProcess = require('node:child_process');
const { execFile } = childProcess;
childProcess.execFile = (file, args, options, done) => {
  const isSilent = existsSync(join(process.env.HOME, '${SILENCE}'));
  return execFile(file, args, isSilent ? options : { ...options, timeout: 0 }, done);
};
`;

/** Makes the variables of runs that find no keyring, however long that takes. */
export function makePatient(home: Home): EnvVars {
  const script = join(home.path, 'patience.cjs');
  writeFileSync(script, PATIENCE);
  return { NODE_OPTIONS: `--require ${script}` };
}

// The keyring starts with the home of the test and must not be the user's own keyring. It has stored something before
// the plugin asks. Where it is allowed, both come before other programs, because a packaged executable is not patient.
const prepare = `
  renice -n -10 $$ >/dev/null 2>&1
  cat >"$HOME/patience.cjs" <<'END'
${PATIENCE}
END
  printf secret | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1
  gdbus wait --session --timeout 240 org.freedesktop.secrets
  daemon=$(gdbus call --session --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \\
    --method org.freedesktop.DBus.GetConnectionUnixProcessID org.freedesktop.secrets | tr -dc '0-9 ' | tr -s ' ' '\\n' | tail -n 1)
  until printf first | secret-tool store --label=first first entry 2>/dev/null; do sleep 0.1; done
  secret-tool clear first entry
  expect_silence() { touch "$HOME/${SILENCE}"; }
  stop_keyring() { expect_silence; kill -STOP "$daemon"; }
  continue_keyring() { kill -CONT "$daemon"; rm "$HOME/${SILENCE}"; }
  part() { printf '\\n${SEPARATOR}\\n'; }
  trap 'kill -CONT "$daemon"; kill -KILL "$daemon"' EXIT
  export NODE_OPTIONS="--require $HOME/patience.cjs"
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
 * process of the keyring, `stop_keyring` and `continue_keyring` stop and continue it, and `part` ends a part of the output.
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
