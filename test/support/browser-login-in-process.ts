/** Runs browser logins in the process of the test, for tests in which the terminal is not the subject. */
import type { Test } from 'tap';
import { readExecCredential } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import type { Fixture } from './fixture.ts';
import { makeExecInfo } from './home.ts';
import { runBundles } from './run-bundles.ts';
import type { RunResult } from './run-plugin.ts';

export interface BrowserLogin {
  /** The address that the user must open. It rejects if the run ends without one. */
  readonly address: Promise<string>;
  readonly ended: Promise<RunResult>;
}

/** Starts a login for kubectl, whose stderr is a terminal and which keeps stdin for itself, so that nothing is prompted. */
export function startBrowserLogin({ home, settings, folder }: Fixture, ...args: readonly string[]): BrowserLogin {
  const env = {
    CLIENT_KEYSTONE_AUTH_SKIP_OPEN_BROWSER: 'true',
    KUBERNETES_EXEC_INFO: makeExecInfo({ interactive: false }),
    ...settings,
  };
  let show: (address: string) => void = () => undefined;
  const shown = new Promise<string>((resolve) => (show = resolve));
  const ended = runBundles(
    { home, args, env, cwd: folder },
    {
      stderrIsTerminal: () => true,
      onStderr(text) {
        const address = /(?:Open this address in your browser: |to log in, open )(\S+)/.exec(text)?.[1];
        if (address !== undefined) show(address);
      },
    },
  );
  const missing = ended.then(({ stderr }) => Promise.reject<string>(new Error(`no address is shown: ${stderr}`)));
  const address = Promise.race([shown, missing]);
  // Not every test asks for the address.
  address.catch(() => undefined);
  return { address, ended };
}

/** Checks that a login succeeds and that it does not show the token. */
export async function checkBrowserSuccess(t: Test, { ended }: BrowserLogin): Promise<RunResult & ExecCredentialStatus> {
  const result = await ended;
  t.equal(result.status, 0, result.stderr);
  const credential = readExecCredential(t, result.stdout);
  t.notOk(result.stderr.includes(credential.token), 'no secret is shown');
  return { ...result, ...credential };
}
