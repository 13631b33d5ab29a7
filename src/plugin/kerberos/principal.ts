/** Finds the principal of the Kerberos tickets that this process logs in with, as klist (MIT) prints it. */
import { execFileSync } from 'node:child_process';
import type { Host } from '../../shared/base/host.ts';
import { makeKerberosEnvironment } from '../programs/environment.ts';
import { findTrustedProgram } from '../programs/find-program.ts';

/** The only principal with tickets. */
export interface TicketCache {
  /** With its realm: `alice@EXAMPLE.COM`. */
  readonly principal: string;
  /** The file of the tickets; undefined when they are not in a file. */
  readonly file: string | undefined;
}

const TIMEOUT_MS = 3_000;

/**
 * Finds the tickets. With several principals, the Kerberos library chooses one by the realm of the server, and the
 * plugin cannot know which.
 *
 * @returns undefined when the principal is not certain
 * @throws ConfigError if a kubeconfig says where the tickets are
 */
export function readTicketCache(host: Host): TicketCache | undefined {
  const env = makeKerberosEnvironment(host);
  const klist = findTrustedProgram('klist', host);
  if (klist === undefined) return undefined;
  let output: string;
  try {
    output = execFileSync(klist, ['-A'], {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      windowsHide: true,
    });
  } catch {
    return undefined;
  }
  const caches = [...output.matchAll(/^Ticket cache: (.*)\nDefault principal: (\S+)$/gm)];
  const [, cache, principal] = caches[0] ?? [];
  if (caches.length !== 1 || cache === undefined || principal === undefined) return undefined;
  return { principal, file: /^FILE:(\/.*)$/.exec(cache)?.[1] };
}
