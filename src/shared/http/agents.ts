/** Connections: TLS, proxies, and which requests may share one. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { AgentOptions } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Environment } from '../base/host.ts';
import type { HttpRequest } from './http-message.ts';
import type { TlsSettings } from './tls-settings.ts';

/** Node's agents use proxies themselves; the types do not declare that yet. */
type ProxyAgentOptions = AgentOptions & { proxyEnv: NodeJS.ProcessEnv };

function listAuthorities({ ca }: TlsSettings): string[] {
  // A certificate of the system's store must be accepted, as the Go program and curl do; a system without a store, such
  // as a bare container, uses the certificates that come with Node. Node's "default" is unusable: it includes
  // NODE_EXTRA_CA_CERTS, which a kubeconfig may set.
  return ca === undefined ? [...getCACertificates('bundled'), ...getCACertificates('system')] : [ca];
}

/** Makes the options of a TLS connection. */
export function makeTlsOptions(tls: TlsSettings): AgentOptions {
  return {
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 in a kubeconfig would decide otherwise.
    rejectUnauthorized: !tls.insecure,
    minVersion: 'TLSv1.2',
    ...(tls.insecure ? {} : { ca: listAuthorities(tls) }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key.reveal() }),
  };
}

/** How connections are made. */
export interface AgentSettings {
  readonly tls: TlsSettings;
  /** `https_proxy` and `no_proxy`; a plain http:// never goes through a proxy. */
  readonly proxyEnv: Environment;
  /** The name that the server's certificate must be for, if that is not its host. */
  readonly serverName?: string | undefined;
}

/** The agents of one client. */
export interface Agents {
  /** The agent for a request, as got takes it. */
  choose(url: URL, request: HttpRequest): { https: HttpsAgent } | { http: HttpAgent };
  close(): void;
}

/** Makes the agents; connections are opened by requests. */
export function makeAgents({ tls, proxyEnv, serverName }: AgentSettings): Agents {
  const http = new HttpAgent({ keepAlive: true });
  // Made on first use: a plain http:// does not need the system's authorities, and reading them takes time.
  let https: HttpsAgent | undefined;
  const makeHttpsAgent = (keepAlive: boolean): HttpsAgent => {
    const options: ProxyAgentOptions = {
      ...makeTlsOptions(tls),
      keepAlive,
      proxyEnv: { ...proxyEnv },
      ...(serverName === undefined ? {} : { servername: serverName }),
    };
    return new HttpsAgent(options);
  };
  // Node's agents use their authorities for the server only: an https proxy is checked against the default ones.
  if (/^https:/i.test(proxyEnv['https_proxy'] ?? '')) setDefaultCACertificates(listAuthorities(tls));
  return {
    choose(url, { isSingleUse, isPoll }) {
      // The server may close a shared connection at any moment, and a request that is not repeated must not be lost.
      const needsOwnConnection = isSingleUse === true || isPoll === true;
      if (url.protocol !== 'https:') return { http: needsOwnConnection ? new HttpAgent() : http };
      return { https: needsOwnConnection ? makeHttpsAgent(false) : (https ??= makeHttpsAgent(true)) };
    },
    close() {
      http.destroy();
      https?.destroy();
    },
  };
}
