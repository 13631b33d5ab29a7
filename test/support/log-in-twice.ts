/** Checks a login at a server, and a second run that uses the cache. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { checkFailure, checkSuccess } from './check-run.ts';
import type { ExecCredentialStatus } from './check-run.ts';
import { runPlugin, makeTestHome } from './run-plugin.ts';
import type { Home, RunResult } from './run-plugin.ts';
import type { StandInKeystone } from './stand-in-keystone.ts';
import { listRequests } from './test-environment.ts';
import type { WatchedAddress } from './test-environment.ts';

/** Lists the requests to a server as `METHOD PATH`, the oldest first. */
export type RequestLog = () => string[];

export const openStandInLog =
  (standIn: StandInKeystone): RequestLog =>
  () =>
    standIn.requests.map(({ method, path }) => `${method} ${path}`);

/** Lists the requests as `METHOD PATH STATUS`. */
export const openWatchedLog =
  (address: WatchedAddress): RequestLog =>
  () =>
    listRequests(address).map(({ method, path, status }) => `${method} ${path} ${status}`);

export interface LoginAttempt {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly args?: readonly string[];
  readonly requestLog: RequestLog;
  /** The expected requests. */
  readonly requests: readonly string[];
  /** Texts that must appear only in the requests. */
  readonly secrets?: readonly string[];
  readonly home?: Home;
}

function readAll(folder: string): string[] {
  // A run that ends early creates no folder.
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [readFileSync(join(entry.parentPath, entry.name), 'utf8')] : [],
  );
}

function checkNoSecretLeft(t: Test, home: Home, result: RunResult, secrets: readonly string[]): void {
  const storedFiles = readAll(home.cache);
  const all = [result.stdout, result.stderr, ...storedFiles].join('\n');
  t.notOk(
    secrets.some((secret) => all.includes(secret)),
    'no secret is printed or stored',
  );
}

/** Logs in twice: first at the server, then from the cache. */
export async function logInTwice(
  t: Test,
  attempt: LoginAttempt,
  warnings: readonly (string | RegExp)[] = [],
): Promise<ExecCredentialStatus> {
  const { env, args = [], requestLog, requests, secrets = [], home = makeTestHome(t) } = attempt;
  const before = requestLog().length;
  const first = await runPlugin({ home, env, args });
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(requestLog().slice(before), requests);
  const second = await runPlugin({ home, env, args });
  t.strictSame(
    second,
    { status: 0, signal: null, stdout: first.stdout, stderr: '' },
    'the cache returns the same token',
  );
  t.equal(requestLog().length, before + requests.length, 'the second run sends no request');
  checkNoSecretLeft(t, home, first, secrets);
  return credential;
}

/** Checks that a login fails, and that it causes only the expected requests. */
export async function checkFailedLogin(
  t: Test,
  { env, args = [], requestLog, requests, secrets = [], home = makeTestHome(t) }: LoginAttempt,
  { status, says }: { status: number; says: readonly (string | RegExp)[] },
): Promise<void> {
  const before = requestLog().length;
  const result = await runPlugin({ home, env, args });
  checkFailure(t, result, status, { says });
  t.strictSame(requestLog().slice(before), requests, 'only the expected requests are sent');
  checkNoSecretLeft(t, home, result, secrets);
}
