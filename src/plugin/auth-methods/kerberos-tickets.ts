/** What the auth methods with Kerberos tickets share. */
import { randomUUID } from 'node:crypto';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Host } from '../../shared/base/host.ts';
import type { StatusExplanation } from '../../shared/keystone/auth-request.ts';
import type { Option } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { readTicketCache } from '../kerberos/principal.ts';
import { makeKerberosEnvironment } from '../programs/environment.ts';

const DEFAULT_CONFIG_FILE = '/etc/krb5.conf';

/** keystoneauth's `mutual-auth`: whether the server must prove with Kerberos, too, who it is. */
export const MUTUAL_AUTH_OPTION: Option = {
  name: 'mutual-auth',
  cacheKey: 'trust',
  group: 'Federation',
  env: ['OS_MUTUAL_AUTH'],
  help: 'disabled or optional: TLS proves who Keystone is (v3kerberos, v3fedkerb)',
};

const MUTUAL_AUTH_VALUES = ['disabled', 'optional'];

/**
 * Refuses what curl cannot check: it sends the ticket, and accepts a response without the proof of the server.
 *
 * @throws ConfigError if the proof is required
 */
export function rejectRequiredMutualAuth(config: ResolvedConfig): void {
  const { name } = MUTUAL_AUTH_OPTION;
  const value = config.text(name);
  if (value === undefined || MUTUAL_AUTH_VALUES.includes(value.toLowerCase())) return;
  const origin = config.origin(name);
  const isRequired = value.toLowerCase() === 'required';
  throw new ConfigError(
    isRequired
      ? `${origin} requires that Keystone proves with Kerberos who it is, which curl cannot check`
      : `${origin} must be disabled or optional, not "${value}"`,
    { hint: `set ${origin} to disabled; the certificate of Keystone is checked in any case` },
  );
}

/** Identifies the tickets for a cache key. Without a certain principal, no cached token is used. */
export function identifyTickets(config: ResolvedConfig, host: Host): (string | undefined)[] {
  return [readTicketCache(host)?.principal ?? randomUUID(), config.text(MUTUAL_AUTH_OPTION.name)];
}

/** Lists the files that {@link identifyTickets} depends on; undefined if the tickets are not in a file. */
export function listTicketFiles(host: Host): readonly string[] | undefined {
  const file = readTicketCache(host)?.file;
  if (file === undefined) return undefined;
  return [file, ...(makeKerberosEnvironment(host)['KRB5_CONFIG'] ?? DEFAULT_CONFIG_FILE).split(':')];
}

/** Who logs in. */
export interface TicketOwner {
  /** Undefined if the principal is not certain. */
  readonly principal: string | undefined;
  /** For messages. */
  readonly description: string;
}

/** Finds who logs in. */
export function findTicketOwner(host: Host): TicketOwner {
  const principal = readTicketCache(host)?.principal;
  return { principal, description: principal ?? 'the holder of the Kerberos ticket' };
}

/**
 * Explains that Keystone refused a ticket.
 *
 * @param otherReasons besides the ticket and its realm
 * @param settings what the user should check
 */
export function explainRefusedTicket(subject: string, otherReasons: string, settings: string): StatusExplanation {
  return {
    code: 'auth-rejected',
    message:
      `Keystone refused the Kerberos login for ${subject}: a missing or expired ticket, ` +
      `a realm that Keystone does not trust, ${otherReasons}`,
    hint: `run "klist"; if it shows no valid ticket, run "kinit"; check ${settings}`,
  };
}
