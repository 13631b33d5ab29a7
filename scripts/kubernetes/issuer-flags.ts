/** The flags with which a kube-apiserver accepts tokens of the issuer, from the documents. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = 'docs/webhook/kube-apiserver';
const DOCUMENTED_URL = 'https://tokens.example.com';

/** The first minor version that reads the documented configuration file. */
const OLDEST_WITH_FILE = 34;

export interface IssuerFlagSettings {
  /** The minor version of the API server. */
  readonly minor: number;
  readonly url: string;
  /** The file of the authorities of the issuer. */
  readonly caFile: string;
  /** Where the configuration file of the API server is written. */
  readonly folder: string;
}

/** Writes the documented configuration file for an issuer, if the version reads it, and returns the flags. */
export function writeIssuerFlags({ minor, url, caFile, folder }: IssuerFlagSettings): Readonly<Record<string, string>> {
  if (minor >= OLDEST_WITH_FILE) {
    const path = join(folder, 'authentication-configuration.yaml');
    const ca = readFileSync(caFile, 'utf8').trimEnd().replaceAll('\n', '\n        ');
    const text = readFileSync(`${FOLDER}/issuer-authentication-configuration.yaml`, 'utf8');
    writeFileSync(path, text.replace(DOCUMENTED_URL, url).replace('ISSUER_CA_CERTIFICATE', ca));
    return { 'authentication-config': path };
  }
  const lines = readFileSync(`${FOLDER}/issuer-flags.conf`, 'utf8').split('\n');
  const flags = lines.flatMap((line) => {
    const [, name, value] = /^--([^=]+)=(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(flags), 'oidc-issuer-url': url, 'oidc-ca-file': caFile };
}
