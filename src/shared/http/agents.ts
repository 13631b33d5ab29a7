/** Connections: TLS, proxies, and which requests may share one. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { AgentOptions, RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, getCACertificates, TLSSocket } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import type { Environment } from '../base/host.ts';
import type { HttpRequest } from './http-message.ts';
import { chooseProxy } from './proxy.ts';
import { STRONG_CIPHERS } from './tls-settings.ts';
import type { TlsSettings } from './tls-settings.ts';
import { restrictTls } from './trusted-origins.ts';
import type { TrustedOrigins } from './trusted-origins.ts';
import { openTunnel, waitForSocket } from './tunnel.ts';

function listAuthorities({ ca }: TlsSettings): string[] {
  // A certificate of the system's store must be accepted, as the Go program and curl do; a system without a store, such
  // as a bare container, uses the certificates that come with Node. Node's "default" is unusable: it includes
  // NODE_EXTRA_CA_CERTS, which a kubeconfig may set.
  return ca === undefined ? [...getCACertificates('bundled'), ...getCACertificates('system')] : [ca];
}

/**
 * Checks the names of a certificate as Node does, but not its common name, which Node accepts if there is no other name
 * (RFC 9525, section 2).
 */
function checkName(host: string, certificate: PeerCertificate): Error | undefined {
  if (/(?:^|, )(?:DNS|IP Address):/.test(certificate.subjectaltname ?? '')) {
    return checkServerIdentity(host, certificate);
  }
  return Object.assign(new Error('no subject alternative name'), { code: 'ERR_TLS_CERT_ALTNAME_MISSING' });
}

/** Makes the options of a TLS connection. */
export function makeTlsOptions(tls: TlsSettings): AgentOptions {
  return {
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 in a kubeconfig would decide otherwise.
    rejectUnauthorized: !tls.insecure,
    minVersion: 'TLSv1.2',
    ...(tls.insecure ? {} : { ca: listAuthorities(tls), ciphers: STRONG_CIPHERS, checkServerIdentity: checkName }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
  };
}

/** Makes the options of a TLS connection to a proxy: always checked, by the authorities for the server behind it. */
export function makeProxyTlsOptions(tls: TlsSettings): AgentOptions {
  return makeTlsOptions({ ...tls, insecure: false, cert: undefined, key: undefined });
}

/** How connections are made. */
export interface AgentSettings {
  readonly tls: TlsSettings;
  /** `https_proxy` and `no_proxy`; a plain http:// never goes through a proxy. */
  readonly proxyEnv: Environment;
  /** The only servers that anything may be sent to; undefined means any server. */
  readonly trustedOrigins: TrustedOrigins | undefined;
  /** The name that the server's certificate must be for, if that is not its host. */
  readonly serverName?: string | undefined;
}

/** The agents of one client. */
export interface Agents {
  /** The agent for a request, as got takes it. */
  choose(url: URL, request: HttpRequest): { https: HttpsAgent } | { http: HttpAgent };
  close(): void;
}

/** Connects to one origin through a proxy. */
class TunnelAgent extends HttpsAgent {
  readonly #open: () => Promise<Duplex>;

  constructor(options: AgentOptions, open: () => Promise<Duplex>) {
    super(options);
    this.#open = open;
  }

  async #connect(options: RequestOptions): Promise<Duplex> {
    const tunnel = await this.#open();
    // The types lack `socket`, which tls.connect takes instead of an address.
    const connection = super.createConnection({ ...options, socket: tunnel } as RequestOptions);
    if (!(connection instanceof TLSSocket)) throw new TypeError('an https agent made a connection without TLS');
    return waitForSocket(connection, 'secureConnect');
  }

  override createConnection(
    options: RequestOptions,
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const report = callback as (error: Error | null, stream?: Duplex) => void;
    this.#connect(options).then(
      (stream) => {
        report(null, stream);
      },
      (error: unknown) => {
        report(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }
}

/** Makes the agents; connections are opened by requests. */
export function makeAgents({ tls, proxyEnv, trustedOrigins, serverName }: AgentSettings): Agents {
  const http = new HttpAgent({ keepAlive: true });
  // Made on first use: a plain http:// does not need the system's authorities, and reading them takes time.
  const shared = new Map<string, HttpsAgent>();
  const makeHttpsAgent = (url: URL, keepAlive: boolean): HttpsAgent => {
    const ownTls = restrictTls(tls, url.origin, trustedOrigins);
    const options: AgentOptions = {
      ...makeTlsOptions(ownTls),
      keepAlive,
      ...(serverName === undefined ? {} : { servername: serverName }),
    };
    const proxy = chooseProxy(proxyEnv, url);
    if (proxy === undefined) return new HttpsAgent(options);
    return new TunnelAgent(options, () => openTunnel(proxy, url, makeProxyTlsOptions(ownTls)));
  };
  const shareHttpsAgent = (url: URL): HttpsAgent => {
    const agent = shared.get(url.origin) ?? makeHttpsAgent(url, true);
    shared.set(url.origin, agent);
    return agent;
  };
  return {
    choose(url, { isSingleUse, isPoll }) {
      // The server may close a shared connection at any moment, and a request that is not repeated must not be lost.
      const needsOwnConnection = isSingleUse === true || isPoll === true;
      if (url.protocol !== 'https:') return { http: needsOwnConnection ? new HttpAgent() : http };
      return { https: needsOwnConnection ? makeHttpsAgent(url, false) : shareHttpsAgent(url) };
    },
    close() {
      http.destroy();
      for (const agent of shared.values()) agent.destroy();
    },
  };
}
