/**
 * Which hosts `NO_PROXY` excludes, by the rule of Go (golang.org/x/net/http/httpproxy), which kubectl follows. Other
 * programs have rules of their own; docs/reference.md lists the differences.
 */
import { BlockList, isIP, SocketAddress } from 'node:net';
import { domainToASCII } from 'node:url';
import { getPort, getSocketHost } from './socket-address.ts';

type Family = 'ipv4' | 'ipv6';

/** An address in its canonical form; an IPv4 address that is written as an IPv6 address is an IPv4 address. */
interface Address {
  readonly text: string;
  readonly family: Family;
}

/** What a request goes to. */
interface Target {
  /** In lower case and ASCII, without brackets. */
  readonly host: string;
  readonly port: string;
  /** Undefined if the host is a name. */
  readonly address: Address | undefined;
}

/** Whether one entry excludes a target. */
type Matcher = (target: Target) => boolean;

function parseAddress(text: string): Address | undefined {
  const version = isIP(text);
  // Go does not accept the zone of an address here.
  if (version === 0 || text.includes('%')) return undefined;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const { address } = new SocketAddress({ address: text, family });
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? [];
  return mapped === undefined ? { text: address, family } : { text: mapped, family: 'ipv4' };
}

function parseTarget(url: URL): Target {
  const host = getSocketHost(url);
  return { host, port: String(getPort(url)), address: parseAddress(host) };
}

const MAPPED_BITS = 96;

/** Parses `ADDRESS/BITS`. */
function parseNetwork(entry: string): Matcher | undefined {
  const [, text = '', digits = ''] = /^([^/]+)\/(\d+)$/.exec(entry) ?? [];
  const address = parseAddress(text);
  const isLong = isIP(text) === 6;
  if (address === undefined || Number(digits) > (isLong ? 128 : 32)) return undefined;
  // An IPv4 address that is written as an IPv6 address starts with 96 other bits.
  const isMapped = isLong && address.family === 'ipv4' && Number(digits) >= MAPPED_BITS;
  const family: Family = isLong && !isMapped ? 'ipv6' : 'ipv4';
  const network = new BlockList();
  network.addSubnet(isMapped ? address.text : text, Number(digits) - (isMapped ? MAPPED_BITS : 0), family);
  return ({ address: target }) => target?.family === family && network.check(target.text, family);
}

/** Splits `HOST:PORT` and `[ADDRESS]:PORT`; anything else is a host without a port. */
function splitPort(entry: string): readonly [host: string, port: string] {
  const [, address, name = entry, port = ''] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(entry) ?? [];
  return [address ?? name, port];
}

function toAscii(domain: string): string {
  // Go converts only what is not ASCII already, and keeps what cannot be converted.
  if (/^[\0-\x7f]*$/.test(domain) || /[/?#\\@:]/.test(domain)) return domain;
  return domainToASCII(domain) || domain;
}

function parseDomain(host: string): Matcher {
  const name = host.startsWith('*.') ? host.slice(1) : host;
  const includesItself = !name.startsWith('.');
  const domain = toAscii(includesItself ? name : name.slice(1));
  return (target) =>
    target.address === undefined && (target.host.endsWith(`.${domain}`) || (includesItself && target.host === domain));
}

/** Parses an entry; undefined if it excludes nothing. */
function parseEntry(entry: string): Matcher | undefined {
  if (entry === '') return undefined;
  if (entry === '*') return () => true;
  const network = parseNetwork(entry);
  if (network !== undefined) return network;
  const [host, port] = splitPort(entry);
  if (host === '') return undefined;
  const address = parseAddress(host);
  const matches: Matcher =
    address === undefined ? parseDomain(host) : (target) => target.address?.text === address.text;
  return (target) => (port === '' || port === target.port) && matches(target);
}

/** Whether a list, the value of `NO_PROXY`, excludes the host of an http or https URL from every proxy. */
export function isExcluded(url: URL, list: string): boolean {
  const target = parseTarget(url);
  return list.split(',').some((entry) => parseEntry(entry.trim().toLowerCase())?.(target) === true);
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether a URL leads to this machine, where no proxy is needed or reaches the same server. */
export function isLoopback(url: URL): boolean {
  const { host, address } = parseTarget(url);
  return host === 'localhost' || (address !== undefined && LOOPBACK.check(address.text, address.family));
}
