/** The server that a request goes to. */

/** A server as a message names it, and the setting that holds its URL. */
export interface Peer {
  readonly name: string;
  readonly setting: string;
  /** How to make its certificate trusted, in the imperative, if not as for Keystone. */
  readonly trustHint?: string;
}

/** The peer of most requests. */
export const KEYSTONE: Peer = { name: 'Keystone', setting: 'OS_AUTH_URL' };

/** Describes where a request goes: "Keystone at https://keystone.example.com:5000". */
export function describePeerAt({ origin }: URL, { name } = KEYSTONE): string {
  return `${name} at ${origin}`;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether a URL leads to this machine without TLS. */
export function isPlaintextLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && LOOPBACK.test(hostname);
}

/** Whether requests to a URL cross the network unencrypted. */
export function isPlaintextRemote(url: URL): boolean {
  return url.protocol === 'http:' && !isPlaintextLoopback(url);
}

/** Parses an http:// or https:// URL without a user name and a password; undefined for any other text. */
export function parseWebUrl(text: string): URL | undefined {
  const url = URL.parse(text) ?? undefined;
  const isUsable = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  return isUsable ? url : undefined;
}
