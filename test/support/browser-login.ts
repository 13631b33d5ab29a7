// Runs browser logins on a terminal: starts the plugin, reads the address that it prints, and checks its output.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { sendRequest } from './send-request.ts';
import type { ReceivedResponse } from './send-request.ts';
import { readExecCredential } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import { PLUGIN_COMMAND } from './run-plugin.ts';
import { makeEnvironment } from './home.ts';
import type { Home } from './home.ts';
import { openTerminal } from './terminal.ts';
import type { Terminal, TerminalCommand } from './terminal.ts';

/** The prompt of the plugin while it waits for the browser. */
export const PASTE_PROMPT = /Or paste the address/;

export interface BrowserRun {
  readonly home: Home;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly args?: readonly string[];
}

/** Makes the command of a run with stdout in a file of its home. No browser is opened, unless `env` overrides that. */
export function makeTerminalCommand({ home, env, args = [] }: BrowserRun): TerminalCommand {
  const out = join(home.path, 'stdout');
  return {
    file: '/bin/sh',
    args: ['-c', 'out=$1; shift; exec "$@" >"$out"', 'sh', out, ...PLUGIN_COMMAND, ...args],
    env: makeEnvironment(home, { CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER: 'true', ...env }),
    cwd: home.path,
    cols: 200,
  };
}

export function readStdout(home: Home): string {
  return readFileSync(join(home.path, 'stdout'), 'utf8');
}

/** Starts the plugin on a terminal. */
export function startOnTerminal(t: Test, run: BrowserRun): Terminal {
  const terminal = openTerminal(makeTerminalCommand(run));
  t.teardown(() => terminal.close());
  return terminal;
}

/** Waits for the address that the user must open, and returns it. */
export async function waitForAddress(terminal: Terminal): Promise<string> {
  const line = await terminal.waitFor(/Open this address in your browser: \S+\n/, 20_000);
  return line.trim().split(' ').at(-1) ?? '';
}

/** Checks that a run succeeds and that its terminal shows no secret. */
export async function checkTerminalSuccess(
  t: Test,
  terminal: Terminal,
  home: Home,
  secrets: readonly string[] = [],
): Promise<ExecCredentialStatus> {
  t.strictSame(await terminal.ended, { exitCode: 0, signal: undefined }, terminal.screen());
  const credential = readExecCredential(t, readStdout(home));
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
