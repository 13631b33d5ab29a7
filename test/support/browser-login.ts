// Runs browser logins on a terminal: starts the plugin, reads the address that it prints, and checks its output.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { readExecCredential } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import type { Fixture } from './fixture.ts';
import { makeEnvironment } from './home.ts';
import { PLUGIN_COMMAND } from './run-plugin.ts';
import { sendRequest } from './send-request.ts';
import type { ReceivedResponse } from './send-request.ts';
import { openTerminal } from './terminal.ts';
import type { Terminal, TerminalCommand } from './terminal.ts';

/** The prompt of the plugin while it waits for the browser. */
export const PASTE_PROMPT = /Or paste the address/;

/** Someone who runs the plugin on a terminal. */
interface TerminalUser extends Pick<Fixture, 'home' | 'settings'> {
  /** Default: the plugin. */
  readonly command?: readonly string[];
}

/**
 * Makes the command of a run with stdout in a file of the home. No browser is opened, unless the settings override
 * that.
 */
export function makeTerminalCommand(
  { home, settings, command = PLUGIN_COMMAND }: TerminalUser,
  ...args: readonly string[]
): TerminalCommand {
  const out = join(home.path, 'stdout');
  return {
    file: '/bin/sh',
    args: ['-c', 'out=$1; shift; exec "$@" >"$out"', 'sh', out, ...command, ...args],
    env: makeEnvironment(home, { CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER: 'true', ...settings }),
    cwd: home.path,
    cols: 300,
  };
}

/** Reads what the last run on a terminal wrote to stdout. */
export function readStdout({ home }: Pick<Fixture, 'home'>): string {
  return readFileSync(join(home.path, 'stdout'), 'utf8');
}

/** Starts the plugin on a terminal. */
export function startOnTerminal(t: Test, user: TerminalUser, ...args: readonly string[]): Terminal {
  const terminal = openTerminal(makeTerminalCommand(user, ...args));
  t.teardown(() => terminal.close());
  return terminal;
}

/** Waits for the address that the user must open, and returns it. */
export async function waitForAddress(terminal: Terminal): Promise<string> {
  const line = await terminal.waitFor(/Open this address in your browser: \S+\n/);
  return line.trim().split(' ').at(-1) ?? '';
}

/** Types at the prompt for the address. */
export async function paste(terminal: Terminal, text: string): Promise<void> {
  await terminal.waitFor(PASTE_PROMPT);
  terminal.type(text);
}

/** Checks that a run succeeds and that its terminal shows no secret. */
export async function checkTerminalSuccess(
  t: Test,
  terminal: Terminal,
  user: Pick<Fixture, 'home'>,
  secrets: readonly string[] = [],
): Promise<ExecCredentialStatus> {
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  const credential = readExecCredential(t, readStdout(user));
  for (const secret of [credential.token, ...secrets]) t.notOk(terminal.raw().includes(secret), 'no secret is shown');
  return credential;
}

/** Opens an http:// address and follows redirects, as a browser does. fetch rejects some of these addresses. */
export async function followRedirects(
  address: string,
  form?: Readonly<Record<string, string>>,
): Promise<ReceivedResponse> {
  const response = await sendRequest(address, { ca: '', ...(form === undefined ? {} : { form }) });
  const { location } = response.headers;
  return location === undefined ? response : followRedirects(new URL(location, address).href);
}
