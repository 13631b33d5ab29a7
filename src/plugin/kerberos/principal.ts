/** Whose Kerberos tickets this process would log in with, as klist (MIT) tells it. */
import { execFileSync } from 'node:child_process';
import type { Host } from '../../shared/base/host.ts';

/** The one principal for which there are tickets. */
export interface TicketCache {
  /** With its realm: `alice@EXAMPLE.COM`. */
  readonly principal: string;
  /** The file that holds them; undefined where none does. */
  readonly file: string | undefined;
}

const LONGEST_MS = 3_000;

/** What Kerberos' programs may see of our environment: nothing that holds a password. */
const VARIABLES = /^(?:PATH|HOME|USER|LOGNAME|TMPDIR|XDG_RUNTIME_DIR|(?:KRB5|GSS)\w*|SystemRoot|USERPROFILE)$/i;

/** The environment of a program that uses the tickets. */
export function makeKerberosEnvironment({ env }: Host): Record<string, string> {
  const kept = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && VARIABLES.test(name) ? [[name, value] as const] : [],
  );
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}

/**
 * Finds the tickets. Where there are several principals, the Kerberos library chooses by the server's realm, and nobody
 * can tell which.
 *
 * @returns undefined where it is not sure whose they are
 */
export function readTicketCache(host: Host): TicketCache | undefined {
  let said: string;
  try {
    said = execFileSync('klist', ['-A'], {
      env: makeKerberosEnvironment(host),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
      windowsHide: true,
    });
  } catch {
    return undefined;
  }
  const caches = [...said.matchAll(/^Ticket cache: (.*)\nDefault principal: (\S+)$/gm)];
  const [, cache, principal] = caches[0] ?? [];
  if (caches.length !== 1 || cache === undefined || principal === undefined) return undefined;
  return { principal, file: /^FILE:(\/.*)$/.exec(cache)?.[1] };
}
