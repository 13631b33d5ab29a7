import { once } from 'node:events';
import type { Server } from 'node:net';
import { ConfigError, getErrorCode } from '../../shared/base/errors.ts';

export interface ListenAddress {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** What to do about an address that cannot be used, by the code of the failure. */
const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there: stop it, or choose another port with --listen',
  EACCES: 'ports below 1024 need a privilege: choose a higher port with --listen',
  EADDRNOTAVAIL: 'set --listen to an address of this machine',
  ENOTFOUND: 'set --listen to an address of this machine, or to a name that resolves to one',
  EAI_AGAIN: 'set --listen to an address of this machine, or to a name that resolves to one',
  EAFNOSUPPORT: 'this machine has no IPv6: set --listen to an IPv4 address',
};
const OTHER_HINT = 'set --listen to an address and a port of this machine';

/** The codes of a machine without IPv6. */
const NO_IPV6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT'];

const formatAddress = ({ host, port }: ListenAddress): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

async function tryToListen(server: Server, { host, port }: ListenAddress): Promise<void> {
  const listening = once(server, 'listening');
  server.listen({ host, port });
  await listening;
}

/**
 * Listens on an address. `::` also stands for all addresses of a machine that has only IPv4.
 *
 * @returns the port
 * @throws ConfigError if the address cannot be used
 */
export async function listenOn(server: Server, address: ListenAddress): Promise<number> {
  try {
    await tryToListen(server, address);
  } catch (error) {
    const code = getErrorCode(error);
    if (address.host === '::' && NO_IPV6.includes(code)) return listenOn(server, { ...address, host: '0.0.0.0' });
    throw new ConfigError(`--listen: cannot listen on ${formatAddress(address)} (${code})`, {
      hint: HINTS[code] ?? OTHER_HINT,
    });
  }
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : address.port;
}
