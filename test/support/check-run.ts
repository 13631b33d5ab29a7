/**
 * A login that tests make again and again, and what every run must keep to whatever the server does: on success one
 * document and nothing else, on failure an empty stdout and one line, and never a secret or a control byte on stderr.
 */
import type { Test } from 'tap';
import { makeHome, runPlugin } from './run-plugin.ts';
import type { PluginRun, RunResult } from './run-plugin.ts';
import { recordedUsers, startStandInKeystone } from './stand-in-keystone.ts';
import type { StandInKeystone, StandInKeystoneOptions } from './stand-in-keystone.ts';

/** A canary: it occurs nowhere but in the request that logs in. */
export const PASSWORD = 'canary-w7Qz-password';

/** The exit statuses, as the README documents them. */
export const EXIT_STATUS = {
  config: 3,
  interaction: 4,
  refused: 5,
  unreachable: 6,
  protocol: 7,
  cancelled: 130,
} as const;

/** The recorded users, all with {@link PASSWORD}. */
export const testUsers = recordedUsers.map((user) => ({ ...user, password: PASSWORD }));

/** A stand-in that lets alice in with {@link PASSWORD}, until the test is over. */
export async function startKeystoneForTest(t: Test, options: StandInKeystoneOptions = {}): Promise<StandInKeystone> {
  const standIn = await startStandInKeystone({ users: testUsers, ...options });
  t.teardown(() => standIn.close());
  return standIn;
}

/** alice's login on her project web. */
export function makeLoginSettings(authUrl: string): Record<string, string> {
  return {
    OS_AUTH_URL: authUrl,
    OS_USERNAME: 'alice',
    OS_USER_DOMAIN_NAME: 'acme',
    OS_PASSWORD: PASSWORD,
    OS_PROJECT_NAME: 'web',
    OS_PROJECT_DOMAIN_NAME: 'acme',
  };
}

/** Runs the plugin in a home of its own. */
export async function runInFreshHome(run: Omit<PluginRun, 'home'>): Promise<RunResult> {
  const home = makeHome();
  try {
    return await runPlugin({ home, ...run });
  } finally {
    home.remove();
  }
}

/** What may move a cursor, hide text or turn it round. */
const UNPRINTABLE = /[^\P{C}\n]|[\u2028\u2029]/u;

interface ExpectedStderr {
  /** What the line must say. */
  readonly says: readonly (string | RegExp)[];
  /** What the warning lines before it must say, one each. */
  readonly warnings?: readonly (string | RegExp)[];
}

function checkStderr(t: Test, stderr: string, expected: readonly (readonly (string | RegExp)[])[]): void {
  t.notMatch(stderr, UNPRINTABLE, 'nothing on stderr but printable text');
  t.notOk(stderr.includes(PASSWORD), 'the password is not on stderr');
  const lines = stderr.split('\n');
  t.equal(lines.pop(), '', 'stderr ends with a newline or is empty');
  t.equal(lines.length, expected.length, `as many lines as expected: ${stderr}`);
  expected.forEach((saying, index) => {
    const line = lines[index] ?? '';
    t.ok(line.startsWith('client-keystone-auth: '), 'the line says who speaks');
    for (const words of saying) t.match(line, words);
  });
}

/** Checks a run that must fail. */
export function checkFailure(t: Test, ran: RunResult, status: number, { says, warnings = [] }: ExpectedStderr): void {
  t.equal(ran.status, status, `exit status: ${ran.stderr}`);
  t.equal(ran.stdout, '', 'stdout is empty');
  checkStderr(t, ran.stderr, [...warnings.map((words) => ['warning: ', words]), says]);
}

/** What an ExecCredential says. */
export interface ExecCredentialStatus {
  readonly token: string;
  readonly expirationTimestamp: string;
}

/** Reads a document and checks that it is the only one. */
export function readExecCredential(t: Test, stdout: string): ExecCredentialStatus {
  t.match(stdout, /^\{[^\n]*\}\n$/, 'stdout is one line');
  const document = JSON.parse(stdout) as { apiVersion: string; kind: string; status: ExecCredentialStatus };
  t.strictSame(Object.keys(document).sort(), ['apiVersion', 'kind', 'status']);
  t.equal(document.apiVersion, 'client.authentication.k8s.io/v1');
  t.equal(document.kind, 'ExecCredential');
  t.match(document.status.expirationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  return document.status;
}

/** Checks a run that must succeed. */
export function checkSuccess(
  t: Test,
  ran: RunResult,
  warnings: readonly (string | RegExp)[] = [],
): ExecCredentialStatus {
  t.equal(ran.status, 0, `exit status: ${ran.stderr}`);
  checkStderr(
    t,
    ran.stderr,
    warnings.map((words) => ['warning: ', words]),
  );
  return ran.status === 0 ? readExecCredential(t, ran.stdout) : { token: '', expirationTimestamp: '' };
}
