// A login with a browser as its user sees it: the plugin on a terminal, the address that it shows, and its document.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { sendRequest } from './send-request.ts';
import type { ReceivedResponse } from './send-request.ts';
import { readExecCredential } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import { PLUGIN_COMMAND, makeEnvironment } from './run-plugin.ts';
import type { Home } from './run-plugin.ts';
import { openTerminal } from './terminal.ts';
import type { Terminal, TerminalCommand } from './terminal.ts';

/** What the plugin asks on a terminal while it waits. */
export const PASTE_PROMPT = /Or paste the address/;

export interface BrowserRun {
  readonly home: Home;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly args?: readonly string[];
}

/** The plugin with stdout in a file of its home; no browser is opened, unless `env` says otherwise. */
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

/** The address that a user is to open. */
export async function waitForAddress(terminal: Terminal): Promise<string> {
  const line = await terminal.waitFor(/Open this address in your browser: \S+\n/, 20_000);
  return line.trim().split(' ').at(-1) ?? '';
}

/** Checks a run that must succeed, and that its terminal shows nothing secret. */
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

/** Opens an address of plain http and follows where it leads, as a browser does; fetch would say that it is none. */
export async function followRedirects(
  address: string,
  form?: Readonly<Record<string, string>>,
): Promise<ReceivedResponse> {
  const answer = await sendRequest(address, { ca: '', ...(form === undefined ? {} : { form }) });
  const { location } = answer.headers;
  return location === undefined ? answer : followRedirects(new URL(location, address).href);
}
