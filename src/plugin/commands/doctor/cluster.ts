/** The cluster of the context, as kubectl would reach it. */
import { dirname, resolve } from 'node:path';
import { getErrorCode, ConfigError } from '../../../shared/base/errors.ts';
import { isPlaintextRemote } from '../../../shared/base/url.ts';
import { readStampedFile } from '../../../shared/base/file-stamp.ts';
import type { Host } from '../../../shared/base/host.ts';
import { textAt } from '../../../shared/base/json.ts';
import type { NamedEntry } from '../../kubeconfig/read-context.ts';
import type { TlsSettings } from '../../../shared/http/tls-settings.ts';
import type { Peer } from '../../../shared/http/http-client.ts';
import type { NetworkTarget } from './network.ts';
import { findProxy } from '../find-proxy.ts';
import { fail, pass } from './check-runner.ts';
import type { CheckOutcome } from './check-runner.ts';

/** A cluster as its entry in the kubeconfig describes it. */
export interface Cluster {
  readonly target: NetworkTarget;
  readonly tls: TlsSettings;
  /** How its authority is set, as a phrase. */
  readonly trustFix: string;
}

const LARGEST_BYTES = 1024 * 1024;

function readAuthority({ path, name, value }: NamedEntry): string | undefined {
  const data = textAt(value, 'certificate-authority-data') ?? '';
  // As in client-go, data is stronger than a file.
  if (data !== '') return Buffer.from(data, 'base64').toString();
  const file = textAt(value, 'certificate-authority') ?? '';
  if (file === '') return undefined;
  const whole = resolve(dirname(path), file);
  try {
    return readStampedFile(whole, LARGEST_BYTES).bytes.toString();
  } catch (error) {
    throw new ConfigError(
      `certificate-authority of cluster ${name}: ${whole} cannot be read (${getErrorCode(error)})`,
      {
        hint: `correct it in ${path}`,
      },
    );
  }
}

function findClusterProxy(host: Host, url: URL, { name, path, value }: NamedEntry): URL | undefined {
  const text = textAt(value, 'proxy-url') ?? '';
  if (text === '') return findProxy(host, url);
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
  throw new ConfigError(`the way to cluster ${name} leads through a proxy (proxy-url) that only kubectl can use`, {
    hint: `try "kubectl auth whoami"; proxy-url stands in ${path}`,
  });
}

/**
 * Reads how the cluster is reached.
 *
 * @throws ConfigError where an authority cannot be read, or the proxy is of a kind that Node does not speak
 */
export function checkCluster(host: Host, cluster: NamedEntry): CheckOutcome<Cluster> {
  const { name, path, value } = cluster;
  const setting = `server of cluster ${name} in ${path}`;
  const text = textAt(value, 'server') ?? '';
  if (!/^https?:/.test(text) || !URL.canParse(text)) return fail(`${setting} is no URL`, 'correct it');
  const url = new URL(text);
  if (isPlaintextRemote(url))
    return fail(`${url.origin} is not encrypted; the token is not sent there`, `correct ${setting}`);
  const peer: Peer = { name: 'the API server', setting: `the ${setting}` };
  const ca = readAuthority(cluster);
  const target = {
    url,
    proxy: findClusterProxy(host, url, cluster),
    peer,
    serverName: textAt(value, 'tls-server-name'),
  };
  const insecure = value['insecure-skip-tls-verify'] === true;
  const tls = { insecure, ca: insecure ? undefined : ca, cert: undefined, key: undefined, paths: {}, files: [] };
  const trustFix = `set certificate-authority (or certificate-authority-data) of cluster ${name} in ${path} to its authority's PEM`;
  return pass(`${name} at ${url.origin}`, { target, tls, trustFix });
}
