/** Someone whose settings lack only the password, so that the plugin prompts on a terminal. */
import type { Test } from 'tap';
import { makeTerminalCommand, readStdout } from './browser-login.ts';
import { makeTestHome } from './home.ts';
import type { EnvVars, Home } from './home.ts';
import { makeLoginSettings, PASSWORD, startKeystoneForTest, testUsers } from './stand-in-login.ts';
import type { StandInKeystone } from './stand-in-keystone.ts';
import type { TerminalCommand } from './terminal.ts';

// A new object for each test, because tap writes into it.
export const inParallel = (): { buffered: true; jobs: number } => ({ buffered: true, jobs: 3 });
const CURSOR = /\x1b\[\?25[hl]/g;

export interface PromptFixture {
  readonly keystone: StandInKeystone;
  readonly home: Home;
  /** Settings that lack only the password. */
  readonly login: EnvVars;
  /** The plugin with its stdout redirected to a file. */
  readonly command: (env: EnvVars, cwd?: string, args?: readonly string[]) => TerminalCommand;
  readonly readStdout: () => string;
}

export async function setUpPrompts(t: Test, password = PASSWORD): Promise<PromptFixture> {
  const keystone = await startKeystoneForTest(t, { users: testUsers.map((user) => ({ ...user, password })) });
  const home = makeTestHome(t);
  return {
    keystone,
    home,
    login: { ...makeLoginSettings(`${keystone.url}/v3`), OS_PASSWORD: undefined },
    command: (settings, cwd = home.path, args = []) => ({ ...makeTerminalCommand({ home, settings }, ...args), cwd }),
    readStdout: () => readStdout({ home }),
  };
}

export function checkCursor(t: Test, raw: string): void {
  t.ok((raw.match(CURSOR) ?? []).at(-1) !== '\x1b[?25l', 'the cursor is visible');
}
