/** The way to a server, step by step: only what no secret is needed for, and nothing but a handshake is sent. */
import { lookup } from 'node:dns/promises';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import type { PluginError } from '../../../shared/base/errors.ts';
import { explainNetworkError } from '../../../shared/http/explain-network-error.ts';
import { KEYSTONE, makeTlsOptions } from '../../../shared/http/http-client.ts';
import type { Peer } from '../../../shared/http/http-client.ts';
import { formatDuration } from '../format-time.ts';
import { describeProxy } from '../find-proxy.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** A server, and how it is reached. */
export interface NetworkTarget {
  readonly url: URL;
  readonly proxy: URL | undefined;
  /** Keystone, if nothing else is said. */
  readonly peer?: Peer;
  /** The name that its certificate must be for, where that is not its host. */
  readonly serverName?: string | undefined;
}

const CONNECT_MS = 5_000;
const DAY_MS = 86_400_000;
const FEW_DAYS = 14;

/** The host as a socket wants it: an IPv6 address without brackets. */
const bare = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

const portOf = (url: URL): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80));

const next = ({ url, proxy }: NetworkTarget): URL => proxy ?? url;

function explain({ url, peer = KEYSTONE }: NetworkTarget, error: unknown): PluginError {
  return explainNetworkError(error, { url, peer, timedOut: false, deadlineMs: CONNECT_MS });
}

async function explained<T>(target: NetworkTarget, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw explain(target, error);
  }
}

/** @throws KeystoneUnreachable */
export async function checkDns(target: NetworkTarget): Promise<CheckOutcome<true>> {
  const host = bare(next(target));
  if (isIP(host) !== 0) return pass(`${host} is an address`, true);
  const found = await explained(target, () => lookup(host, { all: true }));
  return pass(`${host} is ${found.map(({ address }) => address).join(', ')}`, true);
}

/** Waits for an event of a socket, at most as long as http.ts does. */
async function ready<S extends Socket>(socket: S, event: 'connect' | 'secureConnect'): Promise<S> {
  return new Promise((resolve, reject) => {
    const late = (): void => {
      socket.destroy(Object.assign(new Error('too late'), { code: 'ETIMEDOUT' }));
    };
    const timer = setTimeout(late, CONNECT_MS);
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once(event, () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** @throws KeystoneUnreachable */
export async function checkTcp(target: NetworkTarget): Promise<CheckOutcome<true>> {
  const to = next(target);
  const options = { host: bare(to), port: portOf(to) };
  const socket = await explained(target, () => ready(connect(options), 'connect'));
  socket.destroy();
  const whose = target.proxy === undefined ? '' : ' (the proxy)';
  return pass(`${options.host} port ${options.port} accepts connections${whose}`, true);
}

/** Has a proxy open a way (RFC 9110, section 9.3.6). */
async function openTunnel(proxy: URL, url: URL): Promise<Socket> {
  const path = `${url.hostname}:${portOf(url)}`;
  const userInfo = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const headers = {
    host: path,
    ...(userInfo === ':' ? {} : { 'proxy-authorization': `Basic ${Buffer.from(userInfo).toString('base64')}` }),
  };
  const request = proxy.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const options = { host: bare(proxy), port: portOf(proxy), method: 'CONNECT', path, headers, timeout: CONNECT_MS };
    const pending = request(options);
    pending.once('connect', ({ statusCode }, socket) => {
      if (statusCode === 200) resolve(socket);
      else {
        socket.destroy();
        reject(Object.assign(new Error('refused'), { code: 'ERR_PROXY_TUNNEL' }));
      }
    });
    pending.once('timeout', () => pending.destroy(Object.assign(new Error('too late'), { code: 'ETIMEDOUT' })));
    pending.once('error', reject).end();
  });
}

async function shakeHands({ url, proxy, serverName }: NetworkTarget, tls: TlsSettings): Promise<TLSSocket> {
  const socket = proxy === undefined ? undefined : await openTunnel(proxy, url);
  const host = bare(url);
  const options = {
    ...makeTlsOptions(tls),
    // Judged below: a certificate that is refused can be described only if the handshake goes on.
    rejectUnauthorized: false,
    ...(isIP(host) === 0 || serverName !== undefined ? { servername: serverName ?? host } : {}),
    ...(socket === undefined ? { port: portOf(url) } : { socket }),
    host,
  };
  return ready(connectTls(options), 'secureConnect');
}

/** The last one may be its own issuer, and one that is not known may be missing or without members. */
function issuerOf({ issuerCertificate }: Partial<DetailedPeerCertificate>): DetailedPeerCertificate | undefined {
  return issuerCertificate;
}

/** The certificates that the server shows, its own first. */
function listChain(first: DetailedPeerCertificate): readonly DetailedPeerCertificate[] {
  const chain = new Set<DetailedPeerCertificate>();
  const add = (next: DetailedPeerCertificate | undefined): void => {
    if (next === undefined || Object.keys(next).length === 0 || chain.has(next)) return;
    chain.add(next);
    add(issuerOf(next));
  };
  add(first);
  return [...chain];
}

type Name = DetailedPeerCertificate['subject'] | undefined;

/** A certificate without a subject has no such member. */
const nameOf = (name: Name): string => String(name?.CN ?? name?.O ?? 'nobody it names');

function describeChain(chain: readonly DetailedPeerCertificate[]): string {
  return `the certificate of ${nameOf(chain[0]?.subject)}, issued by ${nameOf(chain.at(-1)?.issuer)}`;
}

interface TlsCheck {
  readonly target: NetworkTarget;
  readonly tls: TlsSettings;
  /** ms since 1970, UTC. */
  readonly now: number;
  /** What turned the checks off, in the words of a message. */
  readonly insecureBecause: string;
  /** How its authority is set, where that is no setting of ours. */
  readonly trustFix?: string;
}

function judge(socket: TLSSocket, circumstances: TlsCheck): CheckOutcome<true> {
  const { target, tls, now, insecureBecause, trustFix } = circumstances;
  const chain = listChain(socket.getPeerCertificate(true));
  const whose = describeChain(chain);
  if (tls.insecure) {
    const how = trustFix ?? "set OS_CACERT (--cacert) to its authority's PEM file";
    return warn(`${whose} is not checked, because of ${insecureBecause}`, `${how}, and unset ${insecureBecause}`, true);
  }
  if (!socket.authorized) {
    const reason = socket.authorizationError as unknown;
    const error = reason instanceof Error ? reason : Object.assign(new Error('refused'), { code: String(reason) });
    const { message, hint, code } = explain(target, error);
    // Of an untrusted authority, OpenSSL's codes are many; what to do about a name or a date is another matter.
    const isOfTrust = hint?.includes('OS_CACERT') === true;
    return fail(`${message} (${whose})`, isOfTrust ? (trustFix ?? hint) : hint, { code });
  }
  const ends = Math.min(...chain.map(({ valid_to }) => Date.parse(valid_to)));
  const found = `${whose}, ends in ${formatDuration(ends - now)}; ${socket.getProtocol() ?? 'TLS'}`;
  if (ends - now >= FEW_DAYS * DAY_MS) return pass(found, true);
  return warn(found, 'ask its operator for a new certificate', true);
}

/**
 * Checks the handshake and the chain, by the authorities that a login goes by.
 *
 * @throws KeystoneUnreachable
 */
export async function checkTls(circumstances: TlsCheck): Promise<CheckOutcome<true>> {
  const { target, tls } = circumstances;
  if (target.url.protocol !== 'https:') return pass('none is spoken with http://', true);
  const socket = await explained(target, () => shakeHands(target, tls));
  try {
    return judge(socket, circumstances);
  } finally {
    socket.destroy();
  }
}

/** Says which proxy is in effect. */
export function checkProxy({ proxy }: NetworkTarget): CheckOutcome<never> {
  return pass(proxy === undefined ? 'none is used' : `${describeProxy(proxy)} is used`);
}
