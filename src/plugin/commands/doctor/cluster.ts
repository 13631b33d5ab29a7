/** The cluster of the context, as kubectl would reach it. */
import { dirname, resolve } from 'node:path';
import { isPlaintextRemote } from '../../../shared/http/peer.ts';
import { makeProxyRule } from '../../../shared/http/choose-proxy.ts';
import type { ProxyChoice } from '../../../shared/http/choose-proxy.ts';
import { parseProxy } from '../../../shared/http/proxy.ts';
import { checkSystemAuthorities } from '../../../shared/http/system-authorities.ts';
import type { Host } from '../../../shared/base/host.ts';
import { textAt } from '../../../shared/base/json.ts';
import { MAX_PEM_BYTES, readNamedFile } from '../../../shared/base/read-file.ts';
import type { NamedEntry } from '../../kubeconfig/read-context.ts';
import { trustAuthorities } from '../../../shared/http/tls-settings.ts';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import type { Peer } from '../../../shared/http/peer.ts';
import type { NetworkTarget } from './network.ts';
import { fail, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** A cluster, as its entry in the kubeconfig describes it. */
export interface Cluster {
  readonly target: NetworkTarget;
  readonly tls: TlsSettings;
  /** How to set its certificate authority, in the imperative. */
  readonly trustFix: string;
}

/** Where the certificate authority of a cluster is: in the kubeconfig as Base64, or in a file. */
type AuthoritySource = { readonly data: string } | { readonly file: string };

/** Finds the certificate authority of a cluster; undefined if the authorities of the system apply. */
export function findAuthority({ path, value }: NamedEntry): AuthoritySource | undefined {
  const data = textAt(value, 'certificate-authority-data') ?? '';
  // client-go: data overrides a file.
  if (data !== '') return { data };
  const file = textAt(value, 'certificate-authority') ?? '';
  return file === '' ? undefined : { file: resolve(dirname(path), file) };
}

function readAuthority(cluster: NamedEntry): string | undefined {
  const source = findAuthority(cluster);
  if (source === undefined) return undefined;
  if ('data' in source) return Buffer.from(source.data, 'base64').toString();
  const origin = `certificate-authority of cluster ${cluster.name}`;
  return readNamedFile(source.file, MAX_PEM_BYTES, origin, `correct it in ${cluster.path}`).toString();
}

/** client-go: `proxy-url` overrides the variables, and has no exceptions. */
function chooseClusterProxy(host: Host, url: URL, { name, path, value }: NamedEntry): ProxyChoice {
  const text = textAt(value, 'proxy-url') ?? '';
  if (text === '') return makeProxyRule(host)(url);
  return { proxy: parseProxy(text, `proxy-url of cluster ${name} in ${path}`) };
}

/**
 * Reads how kubectl reaches the cluster.
 *
 * @throws ConfigError when an authority cannot be read, or its proxy is malformed or not supported
 */
export function checkCluster(host: Host, cluster: NamedEntry): CheckOutcome<Cluster> {
  const { name, path, value } = cluster;
  const setting = `server of cluster ${name} in ${path}`;
  const text = textAt(value, 'server') ?? '';
  if (!/^https?:/.test(text) || !URL.canParse(text)) return fail(`${setting} is not a URL`, 'correct it');
  const url = new URL(text);
  if (isPlaintextRemote(url))
    return fail(`${url.origin} is not encrypted, so the token is not sent there`, `correct ${setting}`);
  const peer: Peer = { name: 'the API server', setting: `the ${setting}` };
  const ca = readAuthority(cluster);
  if (ca === undefined) checkSystemAuthorities(host.env);
  const target = {
    url,
    choice: chooseClusterProxy(host, url, cluster),
    peer,
    serverName: textAt(value, 'tls-server-name'),
  };
  const insecure = value['insecure-skip-tls-verify'] === true;
  const tls = { ...trustAuthorities(insecure ? undefined : ca), insecure };
  const trustFix =
    `set certificate-authority (or certificate-authority-data) of cluster ${name} in ${path} ` +
    `to its authority's PEM`;
  return pass(`${name} at ${url.origin}`, { target, tls, trustFix });
}
