/** Checks a login at a server, and a second run that uses the cache. */
import type { Test } from 'tap';
import { checkFailure, checkSuccess } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import type { Fixture } from './fixture.ts';
import type { RunResult } from './run-plugin.ts';

export interface LoginAttempt {
  readonly args?: readonly string[];
  /** The expected requests. */
  readonly requests: readonly string[];
  /** Texts that must appear only in the requests. */
  readonly secrets?: readonly string[];
  readonly warnings?: readonly (string | RegExp)[];
}

function checkNoSecretLeft(t: Test, user: Fixture, result: RunResult, secrets: readonly string[]): void {
  const all = [result.stdout, result.stderr, user.readCache()].join('\n');
  t.notOk(
    secrets.some((secret) => all.includes(secret)),
    'no secret is printed or stored',
  );
}

/** Logs in twice: first at the server, then from the cache, in a process of its own. */
export async function logInTwice(
  t: Test,
  user: Fixture,
  { args = [], requests, secrets = [], warnings }: LoginAttempt,
): Promise<ExecCredentialStatus> {
  const before = user.countRequests();
  const first = await user.run(...args);
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(user.listRequests().slice(before), requests);
  const second = await user.asProcess().run(...args);
  t.strictSame(
    second,
    { status: 0, signal: null, stdout: first.stdout, stderr: '' },
    'the cache returns the same token',
  );
  t.equal(user.countRequests(), before + requests.length, 'the second run sends no request');
  checkNoSecretLeft(t, user, first, secrets);
  return credential;
}

export interface FailedAttempt extends Omit<LoginAttempt, 'warnings'> {
  readonly status: number;
  readonly says: readonly (string | RegExp)[];
}

/** Checks that a login fails, and that it causes only the expected requests. */
export async function checkFailedLogin(
  t: Test,
  user: Fixture,
  { args = [], requests, secrets = [], status, says }: FailedAttempt,
): Promise<void> {
  const before = user.countRequests();
  const result = await user.run(...args);
  checkFailure(t, result, status, { says });
  t.strictSame(user.listRequests().slice(before), requests, 'only the expected requests are sent');
  checkNoSecretLeft(t, user, result, secrets);
}
