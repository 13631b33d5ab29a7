/**
 * A login that many tests share, and checks that apply to every run. A successful run prints one document and nothing
 * else. A failed run prints one line on stderr and nothing on stdout. stderr never contains a secret or a control
 * character.
 */
import type { Test } from 'tap';
import { makeHome } from './home.ts';
import { runPlugin } from './run-plugin.ts';
import type { PluginRun, RunResult } from './run-plugin.ts';
import { PASSWORD } from './stand-in-login.ts';

export { makeLoginSettings, PASSWORD, startKeystoneForTest, testUsers } from './stand-in-login.ts';

/** The documented exit statuses. */
export const EXIT_STATUS = {
  canceled: 130,
  config: 3,
  interaction: 4,
  protocol: 7,
  refused: 5,
  unreachable: 6,
} as const;

/** Runs the plugin with a new home folder. */
export async function runInFreshHome(run: Omit<PluginRun, 'home'>): Promise<RunResult> {
  const home = makeHome();
  try {
    return await runPlugin({ home, ...run });
  } finally {
    home.remove();
  }
}

/** Characters that can move the cursor, hide text or change its direction. */
const UNPRINTABLE = /[^\P{C}\n]|[\u2028\u2029]/u;

interface ExpectedStderr {
  /** What the line must contain. */
  readonly says: readonly (string | RegExp)[];
  /** What each of the warning lines before it must contain. */
  readonly warnings?: readonly (string | RegExp)[];
}

function checkStderr(t: Test, stderr: string, expected: readonly (readonly (string | RegExp)[])[]): void {
  t.notMatch(stderr, UNPRINTABLE, 'stderr contains only printable characters');
  t.notOk(stderr.includes(PASSWORD), 'the password is not on stderr');
  const lines = stderr.split('\n');
  t.equal(lines.pop(), '', 'stderr ends with a newline or is empty');
  t.equal(lines.length, expected.length, `the number of lines: ${stderr}`);
  expected.forEach((saying, index) => {
    const line = lines[index] ?? '';
    t.ok(line.startsWith('client-keystone-auth: '), 'the line starts with the name of the program');
    for (const words of saying) t.match(line, words);
  });
}

/** Checks that a run fails with a status and a message. */
export function checkFailure(
  t: Test,
  result: RunResult,
  status: number,
  { says, warnings = [] }: ExpectedStderr,
): void {
  t.equal(result.status, status, `exit status: ${result.stderr}`);
  t.equal(result.stdout, '', 'stdout is empty');
  checkStderr(t, result.stderr, [...warnings.map((words) => ['warning: ', words]), says]);
}

/** The `status` of an ExecCredential. */
export interface ExecCredentialStatus {
  readonly token: string;
  readonly expirationTimestamp: string;
}

/** Reads an ExecCredential, and checks that stdout contains nothing else. */
export function readExecCredential(t: Test, stdout: string): ExecCredentialStatus {
  t.match(stdout, /^\{[^\n]*\}\n$/, 'stdout is one line');
  const document = JSON.parse(stdout) as { apiVersion: string; kind: string; status: ExecCredentialStatus };
  t.strictSame(Object.keys(document).sort(), ['apiVersion', 'kind', 'status']);
  t.equal(document.apiVersion, 'client.authentication.k8s.io/v1');
  t.equal(document.kind, 'ExecCredential');
  t.match(document.status.expirationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  return document.status;
}

/** Checks that a run succeeds, and returns the status of its ExecCredential. */
export function checkSuccess(
  t: Test,
  result: RunResult,
  warnings: readonly (string | RegExp)[] = [],
): ExecCredentialStatus {
  t.equal(result.status, 0, `exit status: ${result.stderr}`);
  checkStderr(
    t,
    result.stderr,
    warnings.map((words) => ['warning: ', words]),
  );
  return result.status === 0 ? readExecCredential(t, result.stdout) : { token: '', expirationTimestamp: '' };
}
