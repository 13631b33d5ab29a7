/** What a test says about the webhook that it starts, and the command line and variables that follow from that. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePki } from '../../scripts/lib/pki.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { StandInCluster } from './stand-in-cluster.ts';
import type { Owner } from './webhook-client.ts';

/** The client ID that the webhook expects in tokens of the issuer. */
export const CLIENT_ID = 'kubernetes';

export interface WebhookSettings {
  /** The Keystone that it asks; without one, it looks where nothing listens. */
  readonly keystone?: { readonly url: string };
  /** The issuer whose tokens it accepts too. */
  readonly issuer?: { readonly url: string };
  /** The cluster whose ConfigMaps it reads, and in which it makes namespaces and RoleBindings. */
  readonly cluster?: Pick<StandInCluster, 'writeKubeconfig'>;
  /** Further arguments, which take precedence. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The certificates of the webhook and of the servers above; those of the test file by default. */
  readonly pki?: Pki;
}

let sharedPki: Promise<Pki> | undefined;

/** Makes the certificates of a test file, at the first call. */
export function shareTestPki(): Promise<Pki> {
  if (sharedPki === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'cka-webhook-pki-'));
    process.once('exit', () => {
      rmSync(folder, { recursive: true, force: true });
    });
    sharedPki = makePki(folder);
  }
  return sharedPki;
}

/** Makes a folder that is removed after the test. */
export function makeTestFolder(t: Owner): string {
  const path = mkdtempSync(join(tmpdir(), 'cka-webhook-'));
  t.teardown(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

function writeKubeconfig(t: Owner, cluster: Pick<StandInCluster, 'writeKubeconfig'>): string {
  const path = join(makeTestFolder(t), 'kubeconfig');
  cluster.writeKubeconfig(path);
  return path;
}

export interface WebhookCommandLine {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly pki: Pki;
}

/** Makes the command line of a webhook that listens on any free port. */
export async function makeWebhookCommandLine(t: Owner, settings: WebhookSettings): Promise<WebhookCommandLine> {
  const { keystone, issuer, cluster, args = [], env = {}, pki = await shareTestPki() } = settings;
  return {
    args: [
      ...['--listen', '127.0.0.1:0', '--log-level', 'debug', '--shutdown-grace', '1'],
      ...['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key],
      ...(keystone?.url.startsWith('https:') ? ['--keystone-ca-file', pki.ca] : []),
      ...(issuer === undefined
        ? []
        : ['--oidc-issuer-url', issuer.url, '--oidc-client-id', CLIENT_ID, '--oidc-ca-file', pki.ca]),
      ...(cluster === undefined ? [] : ['--kubeconfig', writeKubeconfig(t, cluster)]),
      ...args,
    ],
    env: {
      NO_PROXY: '*',
      OS_AUTH_URL: keystone === undefined ? 'http://127.0.0.1:9/v3' : `${keystone.url}/v3`,
      ...env,
    },
    pki,
  };
}

/**
 * Arguments of a webhook behind a real API server: on a busy machine, Keystone may be as slow as the API server waits for
 * an answer.
 */
export const PATIENT_REVIEWS: readonly string[] = ['--review-timeout', '30', '--keystone-timeout', '30'];

/** Finds the port in the log of a webhook that listens. */
export function findPort(output: string): number | undefined {
  const port = /"port":(\d+)[^\n]*"listening"/.exec(output)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** A webhook ended instead of listening. */
export class WebhookEnded extends Error {
  readonly status: number | null | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(status: number | null | undefined, stdout: string, stderr: string) {
    super(`the webhook ended with ${String(status)}: ${stdout}${stderr}`);
    this.status = status;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}
