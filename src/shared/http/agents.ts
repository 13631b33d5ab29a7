/** Connections: TLS, proxies, and which requests may share one. */
import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { AgentOptions, RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, createSecureContext, getCACertificates, TLSSocket } from 'node:tls';
import type { PeerCertificate, SecureContext } from 'node:tls';
import { findChainWeakness, getStrength } from './certificate-strength.ts';
import type { ProxyRule } from './choose-proxy.ts';
import type { NativeRequest } from './native-request.ts';
import { isSocks } from './proxy.ts';
import type { Proxy } from './proxy.ts';
import type { TlsSettings } from './tls-settings.ts';
import { restrictTls } from './trusted-origins.ts';
import type { TrustedOrigins } from './trusted-origins.ts';
import { connectToProxy, makeProxyAuthorization, openTunnel, waitForSocket } from './tunnel.ts';

function listAuthorities({ ca }: TlsSettings): string[] {
  // A certificate of the system's store must be accepted, as the Go program and curl do; a system without a store, such
  // as a bare container, uses the certificates that come with Node. Node's "default" is unusable: it includes
  // NODE_EXTRA_CA_CERTS, which a kubeconfig may set.
  return ca === undefined ? [...getCACertificates('bundled'), ...getCACertificates('system')] : [ca];
}

/**
 * Checks the strength of a certificate, and its names as Node does, but not its common name, which Node accepts if there
 * is no other name (RFC 9525, section 2).
 */
function checkCertificate(host: string, certificate: PeerCertificate): Error | undefined {
  const weakness = findChainWeakness(certificate);
  if (weakness !== undefined) return Object.assign(new Error('a weak certificate'), { code: weakness });
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
    ...(tls.insecure ? {} : { ca: listAuthorities(tls), ...getStrength(), checkServerIdentity: checkCertificate }),
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
  readonly chooseProxy: ProxyRule;
  /** The only servers that anything may be sent to; undefined means any server. */
  readonly trustedOrigins: TrustedOrigins | undefined;
  /** The name that the server's certificate must be for, if that is not its host. */
  readonly serverName?: string | undefined;
  /**
   * Later connections to an origin resume the TLS session of an earlier one, which saves the check of the certificate
   * (RFC 8446, section 2.2). For a program that opens many.
   */
  readonly resumesTlsSessions?: true;
}

/** How one request is sent, as got takes it. */
export interface Route {
  readonly agent: { readonly https: HttpsAgent } | { readonly http: HttpAgent };
  /** Undefined means that the request goes directly to the server. */
  readonly proxy: Proxy | undefined;
  /** Sends the request in place of got, if there is no TLS and the proxy sees and answers the request itself. */
  readonly request?: NativeRequest;
}

/** The agents of one client. */
export interface Agents {
  /**
   * Chooses the route of a request. A server may close a shared connection at any moment, so a request that must not be
   * lost has a connection of its own, which is then closed.
   *
   * @throws ConfigError if the proxy for this URL is malformed or not supported
   */
  choose(url: URL, options: { readonly hasOwnConnection: boolean }): Route;
  /** Makes agents that share connections with nobody else, but the TLS settings. */
  separate(): Agents;
  close(): void;
}

/** Passes on what a promise becomes as Node's agents expect it. */
function report(connecting: Promise<Duplex>, callback: (error: Error | null, stream: Duplex) => void): void {
  const tell = callback as (error: Error | null, stream?: Duplex) => void;
  connecting.then(
    (stream) => {
      tell(null, stream);
    },
    (error: unknown) => {
      tell(error instanceof Error ? error : new Error(String(error)));
    },
  );
}

/** The TLS options for one origin. */
interface OriginTls {
  readonly settings: TlsSettings;
  readonly options: AgentOptions;
  /** Returns the context that is made of the options, for all connections: reading the system's authorities takes time. */
  readonly getContext: () => SecureContext;
  readonly sessions: TlsSessions | undefined;
}

/** The newest session of an origin, for the next connection. */
class TlsSessions {
  #newest: Buffer | undefined;

  get newest(): Buffer | undefined {
    return this.#newest;
  }

  /** Keeps the sessions of a connection, and forgets them if it fails: the server may not want to resume them. */
  watch(connection: TLSSocket): void {
    connection.on('session', (session: Buffer) => {
      this.#newest = session;
    });
    connection.once('error', () => {
      this.#newest = undefined;
    });
  }
}

function makeOriginTls(
  settings: TlsSettings,
  { serverName, resumesTlsSessions }: Pick<AgentSettings, 'serverName' | 'resumesTlsSessions'>,
): OriginTls {
  const options = { ...makeTlsOptions(settings), ...(serverName === undefined ? {} : { servername: serverName }) };
  let context: SecureContext | undefined;
  return {
    settings,
    options,
    getContext: () => (context ??= createSecureContext(options)),
    sessions: resumesTlsSessions && new TlsSessions(),
  };
}

/** Connects to one https origin. */
class DirectAgent extends HttpsAgent {
  readonly #tls: OriginTls;

  constructor(tls: OriginTls, keepAlive: boolean) {
    super({ ...tls.options, keepAlive });
    this.#tls = tls;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { getContext, sessions } = this.#tls;
    // The types lack `secureContext`, which tls.connect takes instead of making one.
    const own = { ...options, secureContext: getContext(), session: sessions?.newest } as RequestOptions;
    const connection = super.createConnection(own, callback);
    if (connection instanceof TLSSocket) sessions?.watch(connection);
    return connection;
  }
}

/** Connects to one https origin through a proxy. */
class TunnelAgent extends DirectAgent {
  readonly #open: () => Promise<Duplex>;

  constructor(tls: OriginTls, keepAlive: boolean, open: () => Promise<Duplex>) {
    super(tls, keepAlive);
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
    report(this.#connect(options), callback);
  }
}

/** Connects to one http origin through a proxy. */
class PlainAgent extends HttpAgent {
  readonly #open: () => Promise<Duplex>;

  constructor(options: AgentOptions, open: () => Promise<Duplex>) {
    super(options);
    this.#open = open;
  }

  override createConnection(
    _options: RequestOptions,
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    report(this.#open(), callback);
  }
}

/** Makes the function that sends a request for an http:// URL to a proxy (RFC 9112, section 3.2.2). */
function makeProxyRequest(proxy: Proxy): NativeRequest {
  const authorization = makeProxyAuthorization(proxy);
  return (url, options, callback) =>
    requestHttp(
      url,
      {
        ...options,
        path: `${url.origin}${url.pathname}${url.search}`,
        headers: {
          ...(options.headers as Record<string, string>),
          ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
        },
      },
      callback,
    );
}

/** Makes the agents; connections are opened by requests. */
export function makeAgents(settings: AgentSettings): Agents {
  const { tls, chooseProxy, trustedOrigins } = settings;
  const tlsOfOrigins = new Map<string, OriginTls>();
  const shareTls = ({ origin }: URL): OriginTls => {
    const known = tlsOfOrigins.get(origin);
    if (known !== undefined) return known;
    const made = makeOriginTls(restrictTls(tls, origin, trustedOrigins), settings);
    tlsOfOrigins.set(origin, made);
    return made;
  };
  const makeHttpsRoute = (url: URL, keepAlive: boolean, proxy: Proxy | undefined): Route => {
    const ownTls = shareTls(url);
    const agent =
      proxy === undefined
        ? new DirectAgent(ownTls, keepAlive)
        : new TunnelAgent(ownTls, keepAlive, () => openTunnel(proxy, url, makeProxyTlsOptions(ownTls.settings)));
    return { agent: { https: agent }, proxy };
  };
  const makeHttpRoute = (url: URL, keepAlive: boolean, proxy: Proxy | undefined): Route => {
    if (proxy === undefined) return { agent: { http: new HttpAgent({ keepAlive }) }, proxy };
    const proxyTls = (): AgentOptions => makeProxyTlsOptions(restrictTls(tls, url.origin, trustedOrigins));
    if (isSocks(proxy)) {
      const agent = new PlainAgent({ keepAlive }, () => openTunnel(proxy, url, proxyTls()));
      return { agent: { http: agent }, proxy };
    }
    const agent = new PlainAgent({ keepAlive }, () => connectToProxy(proxy, proxyTls()));
    return { agent: { http: agent }, proxy, request: makeProxyRequest(proxy) };
  };
  const makeRoute = (url: URL, keepAlive: boolean): Route => {
    const { proxy } = chooseProxy(url);
    return (url.protocol === 'https:' ? makeHttpsRoute : makeHttpRoute)(url, keepAlive, proxy);
  };
  const open = (): Agents => {
    // Made on first use: a plain http:// does not need the system's authorities.
    const shared = new Map<string, Route>();
    const shareRoute = (url: URL): Route => {
      const route = shared.get(url.origin) ?? makeRoute(url, true);
      shared.set(url.origin, route);
      return route;
    };
    return {
      choose: (url, { hasOwnConnection }) => (hasOwnConnection ? makeRoute(url, false) : shareRoute(url)),
      separate: open,
      close() {
        for (const { agent } of shared.values()) ('https' in agent ? agent.https : agent.http).destroy();
      },
    };
  };
  return open();
}
