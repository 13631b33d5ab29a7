/** A login that has to be right twice: once with the server's help, once without. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { checkFailure, checkSuccess } from './login.ts';
import type { Credential } from './login.ts';
import { makeHome, runPlugin } from './plugin.ts';
import type { Home, Ran } from './plugin.ts';
import type { StandIn } from './stand-in-keystone.ts';
import { requestsSince } from './test-environment.ts';
import type { Mark } from './test-environment.ts';

/** What arrived at a server, `METHOD PATH` each, the oldest first. */
export type Arrivals = () => string[];

export const arrivalsAt =
  (standIn: StandIn): Arrivals =>
  () =>
    standIn.requests.map(({ method, path }) => `${method} ${path}`);

/** With the status behind each. */
export const arrivalsSince =
  (mark: Mark): Arrivals =>
  () =>
    requestsSince(mark).map(({ method, path, status }) => `${method} ${path} ${status}`);

export interface Attempt {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly args?: readonly string[];
  readonly arrivals: Arrivals;
  /** What must arrive. */
  readonly requests: readonly string[];
  /** What must be nowhere but in the requests. */
  readonly secrets?: readonly string[];
  readonly home?: Home;
}

export function homeFor(t: Test): Home {
  const home = makeHome();
  t.teardown(() => home.remove());
  return home;
}

function readAll(folder: string): string[] {
  // A run that ends early keeps nothing.
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [readFileSync(join(entry.parentPath, entry.name), 'utf8')] : [],
  );
}

function checkSecrets(t: Test, home: Home, ran: Ran, secrets: readonly string[]): void {
  const kept = readAll(home.cache);
  const all = [ran.stdout, ran.stderr, ...kept].join('\n');
  t.notOk(
    secrets.some((secret) => all.includes(secret)),
    'no secret is printed or kept',
  );
}

/** Logs in twice. */
export async function logInTwice(
  t: Test,
  attempt: Attempt,
  warnings: readonly (string | RegExp)[] = [],
): Promise<Credential> {
  const { env, args = [], arrivals, requests, secrets = [], home = homeFor(t) } = attempt;
  const before = arrivals().length;
  const first = await runPlugin({ home, env, args });
  const credential = checkSuccess(t, first, warnings);
  t.strictSame(arrivals().slice(before), requests);
  const second = await runPlugin({ home, env, args });
  t.strictSame(second, { status: 0, signal: null, stdout: first.stdout, stderr: '' }, 'the cache says the same');
  t.equal(arrivals().length, before + requests.length, 'the second run asks nobody');
  checkSecrets(t, home, first, secrets);
  return credential;
}

/** Logs in, which must fail, with no more requests than those. */
export async function failOnce(
  t: Test,
  { env, args = [], arrivals, requests, secrets = [], home = homeFor(t) }: Attempt,
  { status, says }: { status: number; says: readonly (string | RegExp)[] },
): Promise<void> {
  const before = arrivals().length;
  const ran = await runPlugin({ home, env, args });
  checkFailure(t, ran, status, { says });
  t.strictSame(arrivals().slice(before), requests, 'exactly these requests');
  checkSecrets(t, home, ran, secrets);
}
