/**
 * The session bus of D-Bus, through which the keyring of Linux is reached. Its address can tell the library to run any
 * program (`unixexec:`, `autolaunch:`) or to connect to any machine (`tcp:`); only Unix sockets are accepted (D-Bus
 * Specification, "Server Addresses").
 */
import { lstatSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Host } from '../../shared/base/host.ts';

/** A path or a name of the abstract namespace, in the optionally escaped bytes of the specification. */
const UNIX_SOCKET = /^unix:(?<key>path|abstract)=(?<name>(?:[-\w/.*]|%[0-9A-Fa-f]{2})+)(?:,guid=[0-9A-Fa-f]{32})?$/;

/** Whether an address names a Unix socket and nothing else. */
export function isUnixBusAddress(address: string | undefined): boolean {
  return UNIX_SOCKET.test(address ?? '');
}

/** Whether a path is a socket that nobody else listens on. */
function isOwnSocket(path: string, uid: number | undefined): boolean {
  try {
    const stats = lstatSync(path);
    return stats.isSocket() && (stats.uid === uid || stats.uid === 0);
  } catch {
    return false;
  }
}

function isUsable(address: string, uid: number | undefined): boolean {
  const { key, name = '' } = UNIX_SOCKET.exec(address)?.groups ?? {};
  if (key === 'abstract') return true;
  if (key !== 'path') return false;
  const path = unescapePath(name);
  return isAbsolute(path) && isOwnSocket(path, uid);
}

const unescapePath = (name: string): string =>
  Buffer.from(
    name.replaceAll(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString();

const escapePath = (path: string): string =>
  [...Buffer.from(path)]
    .map((byte) => String.fromCharCode(byte))
    .map((char) => (/[-\w/.*]/.test(char) ? char : `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`))
    .join('');

/**
 * Finds the session bus of the person: the one that their environment names, or else the one of the login session.
 *
 * @returns an address with one Unix socket; undefined if there is none
 */
export function findSessionBus(host: Host): string | undefined {
  const { uid } = host;
  const personal = host.personalVariables();
  const addresses = personal['DBUS_SESSION_BUS_ADDRESS'] ?? '';
  if (addresses !== '') return addresses.split(';').find((address) => isUsable(address, uid));
  const runtime = personal['XDG_RUNTIME_DIR'] ?? '';
  // The XDG Base Directory Specification says to ignore a relative path.
  const path = join(isAbsolute(runtime) ? runtime : `/run/user/${String(uid)}`, 'bus');
  return isOwnSocket(path, uid) ? `unix:path=${escapePath(path)}` : undefined;
}
