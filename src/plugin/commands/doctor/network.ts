/** The connection to a server, step by step, up to the TLS handshake. No secret of the user is sent to the server. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import type { PluginError } from '../../../shared/base/errors.ts';
import { explainNetworkError } from '../../../shared/http/explain-network-error.ts';
import { makeProxyTlsOptions, makeTlsOptions } from '../../../shared/http/agents.ts';
import { describeProxy } from '../../../shared/http/proxy.ts';
import type { Host } from '../../../shared/base/host.ts';
import { makeProxyRule } from '../../../shared/http/choose-proxy.ts';
import type { ProxyChoice } from '../../../shared/http/choose-proxy.ts';
import { getPort, getSocketHost } from '../../../shared/http/socket-address.ts';
import { explainUnreachableProxy, openTunnel, waitForSocket } from '../../../shared/http/tunnel.ts';
import { KEYSTONE } from '../../../shared/http/peer.ts';
import type { Peer } from '../../../shared/http/peer.ts';
import { formatDuration } from '../format-time.ts';
import { fail, warn, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** A server, and how to reach it. */
export interface NetworkTarget {
  readonly url: URL;
  readonly choice: ProxyChoice;
  /** Keystone by default. */
  readonly peer?: Peer;
  /** The name in its certificate, if that is not the host of the URL. */
  readonly serverName?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const MIN_CERTIFICATE_LIFETIME_MS = 14 * 86_400_000;

/** The machine that this one connects to: the proxy or the server. */
const getFirstHop = ({ url, choice: { proxy } }: NetworkTarget): { host: string; port: number } =>
  proxy ?? { host: getSocketHost(url), port: getPort(url) };

function explainConnectError({ url, choice: { proxy }, peer = KEYSTONE }: NetworkTarget, error: unknown): PluginError {
  return explainNetworkError(error, { url, peer, timedOut: false, deadlineMs: CONNECT_TIMEOUT_MS, proxy });
}

/** Says of a failed connection to the first hop that it was to the proxy, if there is one. */
async function namingProxy<T>({ choice }: NetworkTarget, pending: Promise<T>): Promise<T> {
  try {
    return await pending;
  } catch (error) {
    throw choice.proxy === undefined ? error : explainUnreachableProxy(error);
  }
}

async function explainingErrors<T>(target: NetworkTarget, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw explainConnectError(target, error);
  }
}

/** Waits as long as the HTTP client waits for a connection: a lookup has no limit of its own. */
async function withTimeout<T>(pending: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }));
    }, CONNECT_TIMEOUT_MS);
  });
  try {
    return await Promise.race([pending, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Checks that the name of the server, or of the proxy, resolves.
 *
 * @throws KeystoneUnreachable
 */
export async function checkDns(target: NetworkTarget): Promise<CheckOutcome<true>> {
  const { host } = getFirstHop(target);
  if (isIP(host) !== 0) return pass(`${host} is an address`, true);
  const addresses = await explainingErrors(target, () => namingProxy(target, withTimeout(lookup(host, { all: true }))));
  return pass(`${host} is ${addresses.map(({ address }) => address).join(', ')}`, true);
}

/**
 * Checks that the server, or the proxy, accepts connections.
 *
 * @throws KeystoneUnreachable
 */
export async function checkTcp(target: NetworkTarget): Promise<CheckOutcome<true>> {
  const { host, port } = getFirstHop(target);
  const socket = await explainingErrors(target, () =>
    namingProxy(target, waitForSocket(connect({ host, port }), 'connect')),
  );
  socket.destroy();
  const suffix = target.choice.proxy === undefined ? '' : ' (the proxy)';
  return pass(`${host} port ${port} accepts connections${suffix}`, true);
}

/** @param rejectsUntrusted false leaves it to the caller to look at `authorized` */
async function shakeHands(
  { url, choice: { proxy }, serverName }: NetworkTarget,
  tls: TlsSettings,
  rejectsUntrusted: boolean,
): Promise<TLSSocket> {
  const socket = proxy === undefined ? undefined : await openTunnel(proxy, url, makeProxyTlsOptions(tls));
  const host = getSocketHost(url);
  const options = {
    ...makeTlsOptions(tls),
    rejectUnauthorized: rejectsUntrusted,
    ...(isIP(host) === 0 || serverName !== undefined ? { servername: serverName ?? host } : {}),
    ...(socket === undefined ? { port: getPort(url) } : { socket }),
    host,
  };
  return waitForSocket(connectTls(options), 'secureConnect');
}

/** The types say that an issuer is always present. In fact, an unknown issuer is undefined or an empty object. */
function getIssuer({ issuerCertificate }: Partial<DetailedPeerCertificate>): DetailedPeerCertificate | undefined {
  return issuerCertificate;
}

/** Lists the certificates that the server sends, its own first. The last one may be its own issuer. */
function listChain(first: DetailedPeerCertificate): readonly DetailedPeerCertificate[] {
  const chain = new Set<DetailedPeerCertificate>();
  const add = (certificate: DetailedPeerCertificate | undefined): void => {
    if (certificate === undefined || Object.keys(certificate).length === 0 || chain.has(certificate)) return;
    chain.add(certificate);
    add(getIssuer(certificate));
  };
  add(first);
  return [...chain];
}

type DistinguishedName = DetailedPeerCertificate['subject'] | undefined;

/** The name is undefined if the certificate has no subject. */
const describeName = (name: DistinguishedName): string => String(name?.CN ?? name?.O ?? '(no name)');

function describeChain(chain: readonly DetailedPeerCertificate[]): string {
  return `the certificate of ${describeName(chain[0]?.subject)}, issued by ${describeName(chain.at(-1)?.issuer)}`;
}

interface TlsCheck {
  readonly target: NetworkTarget;
  readonly tls: TlsSettings;
  /** ms since 1970, UTC. */
  readonly now: number;
  /** The setting that turns verification off, for a message. */
  readonly insecureOrigin: string;
  /** How to set the certificate authority, in the imperative; by default with `OS_CACERT`. */
  readonly trustFix?: string | undefined;
}

/**
 * Finds out why a certificate is not trusted. A socket that was accepted in spite of it knows only a code, and many
 * reasons share one.
 */
async function findTrustError(target: NetworkTarget, tls: TlsSettings): Promise<unknown> {
  try {
    (await shakeHands(target, tls, true)).destroy();
  } catch (error) {
    return error;
  }
  return new Error('the certificate was refused once');
}

async function judgeCertificate(
  socket: TLSSocket,
  { target, tls, now, insecureOrigin, trustFix }: TlsCheck,
): Promise<CheckOutcome<true>> {
  const chain = listChain(socket.getPeerCertificate(true));
  const certificate = describeChain(chain);
  if (tls.insecure) {
    const fix = trustFix ?? 'set OS_CACERT (--cacert) to the PEM file of its certificate authority';
    return warn(
      `${certificate} is not verified, because of ${insecureOrigin}`,
      `${fix}, and unset ${insecureOrigin}`,
      true,
    );
  }
  if (!socket.authorized) {
    // Some servers answer one connection after the other.
    socket.destroy();
    const { message, hint, code } = explainConnectError(target, await findTrustError(target, tls));
    // OpenSSL has many codes for an untrusted authority. A wrong name or date needs another fix.
    const isUntrusted = hint?.includes('OS_CACERT') === true;
    return fail(`${message} (${certificate})`, isUntrusted ? (trustFix ?? hint) : hint, { code });
  }
  const leftMs = Math.min(...chain.map(({ valid_to }) => Date.parse(valid_to))) - now;
  const summary = `${certificate}, expires in ${formatDuration(leftMs)}; ${socket.getProtocol() ?? 'TLS'}`;
  if (leftMs >= MIN_CERTIFICATE_LIFETIME_MS) return pass(summary, true);
  return warn(summary, 'ask the operator of the server for a new certificate', true);
}

/**
 * Checks the TLS handshake and the certificates, with the authorities that a login uses.
 *
 * @throws KeystoneUnreachable
 */
export async function checkTls(check: TlsCheck): Promise<CheckOutcome<true>> {
  const { target, tls } = check;
  if (target.url.protocol !== 'https:') return pass('http:// does not use it', true);
  // Checked after the handshake, so that the message can describe a certificate that is rejected.
  const socket = await explainingErrors(target, () => shakeHands(target, tls, false));
  try {
    return await judgeCertificate(socket, check);
  } finally {
    socket.destroy();
  }
}

/**
 * Finds the proxy for a URL.
 *
 * @throws ConfigError if it is malformed or not supported
 */
export function checkProxy(host: Host, url: URL): CheckOutcome<NetworkTarget> {
  const choice = makeProxyRule(host)(url);
  const target = { url, choice };
  const { proxy } = choice;
  if (proxy === undefined) return pass(`none is used: ${choice.because}`, target);
  return pass(`${describeProxy(proxy)} is used (${proxy.origin})`, target);
}
