/** What a test says about the issuer that it starts, and the command line and variables that follow from that. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXCHANGE_GRANT, KEYSTONE_TOKEN_TYPE } from '../../src/shared/oidc/exchange-parameters.ts';
import type { Pki } from '../../scripts/lib/pki.ts';
import type { StandInCluster } from './stand-in-cluster.ts';
import type { Owner, WebhookClient, WebhookResponse } from './webhook-client.ts';
import { makeTestFolder, shareTestPki } from './webhook-settings.ts';
import type { WebhookCommandLine } from './webhook-settings.ts';

/** The audience of the tests. */
export const AUDIENCE = 'cluster-a';

/** Everybody with the role member gets tokens for {@link AUDIENCE}. */
export const AUDIENCES = { audiences: [{ name: AUDIENCE, allow: [{ roles: ['member'] }] }] };

export interface IssuerSettings {
  /** The Keystone that it asks; without one, it looks where nothing listens. */
  readonly keystone?: { readonly url: string };
  /** The content of the file of audiences. */
  readonly audiences?: object;
  /** The file of the signing keys, which must exist. */
  readonly keyFile?: string;
  /** The URL of the issuer, when it is known before the issuer listens. */
  readonly url?: string;
  readonly port?: number;
  /** The cluster with the Secret of the signing keys, instead of a file. */
  readonly cluster?: Pick<StandInCluster, 'writeKubeconfig'>;
  /** Further arguments, which take precedence. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly pki?: Pki;
}

/** The URL of issuers whose test does not care about it. */
export const ISSUER_URL = 'https://tokens.example.com/keystone';

export interface IssuerCommandLine extends WebhookCommandLine {
  readonly audiencesFile: string;
}

/** The arguments for signing keys in a Secret. */
export function listSecretArgs(t: Owner, cluster: Pick<StandInCluster, 'writeKubeconfig'>): readonly string[] {
  const kubeconfig = join(makeTestFolder(t), 'kubeconfig');
  cluster.writeKubeconfig(kubeconfig);
  return ['--signing-keys-secret', 'keystone/signing-keys', '--kubeconfig', kubeconfig];
}

/** Makes the command line of an issuer. */
export async function makeIssuerCommandLine(t: Owner, settings: IssuerSettings): Promise<IssuerCommandLine> {
  const { keystone, audiences = AUDIENCES, keyFile, url = ISSUER_URL, port = 0, args = [], env = {} } = settings;
  const { cluster } = settings;
  const pki = settings.pki ?? (await shareTestPki());
  const folder = makeTestFolder(t);
  const audiencesFile = join(folder, 'audiences.json');
  writeFileSync(audiencesFile, JSON.stringify(audiences));
  return {
    args: [
      ...['issuer', '--listen', `127.0.0.1:${port}`, '--shutdown-grace', '1', '--issuer-url', url],
      ...['--tls-cert-file', pki.server.cert, '--tls-private-key-file', pki.server.key],
      ...['--audiences-file', audiencesFile],
      ...(keyFile === undefined ? [] : ['--signing-keys-file', keyFile]),
      ...(cluster === undefined ? [] : listSecretArgs(t, cluster)),
      ...(keystone?.url.startsWith('https:') ? ['--keystone-ca-file', pki.ca] : []),
      ...args,
    ],
    env: {
      NO_PROXY: '*',
      OS_AUTH_URL: keystone === undefined ? 'http://127.0.0.1:9/v3' : `${keystone.url}/v3`,
      ...env,
    },
    pki,
    audiencesFile,
  };
}

/** The parameters of an exchange. */
export function makeForm(token: string, audience = AUDIENCE): Record<string, string> {
  return { grant_type: EXCHANGE_GRANT, subject_token: token, subject_token_type: KEYSTONE_TOKEN_TYPE, audience };
}

/** Encodes a form (RFC 6749, appendix B). */
export const encodeForm = (form: Readonly<Record<string, string>>): string => new URLSearchParams(form).toString();

const FORM_TYPE = 'application/x-www-form-urlencoded';

/** Writes a request of HTTP/1.1 with a form, for the load generator. */
export const writeFormRequest = (path: string, form: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${FORM_TYPE}\r\n` +
  `content-length: ${Buffer.byteLength(form)}\r\n\r\n${form}`;

/** Sends a form to the token endpoint of an issuer at {@link ISSUER_URL}, or below another path. */
export function postForm(
  issuer: Pick<WebhookClient, 'sendRequest'>,
  form: Readonly<Record<string, string>> | string,
  prefix = new URL(ISSUER_URL).pathname,
): Promise<WebhookResponse> {
  return issuer.sendRequest({
    method: 'POST',
    path: `${prefix}/token`,
    body: typeof form === 'string' ? form : encodeForm(form),
    headers: { 'content-type': FORM_TYPE },
  });
}
