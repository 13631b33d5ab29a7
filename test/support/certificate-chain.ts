/** Makes certificates of many kinds with openssl, for servers that some TLS libraries refuse. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles } from '../../scripts/lib/pki.ts';

/** What differs from a P-256 certificate for this machine, signed with SHA-256 by an authority with a P-256 key. */
export interface CertificateKind {
  /** Options of `openssl req`. */
  readonly authorityKey?: readonly string[];
  readonly authorityExtensions?: readonly string[];
  readonly key?: readonly string[];
  readonly digest?: string;
  readonly subject?: string;
  readonly names?: string;
  /** More extensions, as a configuration file of OpenSSL has them. */
  readonly extensions?: readonly string[];
  /** The number of days until it expires. */
  readonly days?: number;
}

/** The paths of a server certificate and of its authority. */
export type CertificateChain = CertificateFiles & { readonly ca: string };

/** Options of `openssl req` for a key on a curve. */
export const onCurve = (name: string): readonly string[] => ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${name}`];

const NAMES = 'subjectAltName=IP:127.0.0.1,DNS:localhost';

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });

/** Makes an authority and a server certificate in a folder, in files with this name. */
export function makeCertificateChain(folder: string, name: string, kind: CertificateKind): CertificateChain {
  const at = (type: string): string => join(folder, `${name}.${type}`);
  const [ca, caKey, cert, key, request, list] = [at('ca'), at('ca.key'), at('crt'), at('key'), at('csr'), at('ext')];
  const { authorityKey = onCurve('P-256'), authorityExtensions = [], digest = 'sha256', names = NAMES } = kind;
  const { key: ownKey = onCurve('P-256'), subject = '/CN=127.0.0.1', days = 30 } = kind;
  const extensions = ['basicConstraints=critical,CA:TRUE', ...authorityExtensions];
  const make = ['req', '-nodes', '-sha256'];
  openssl(
    ...[...make, '-x509', '-days', '30', ...authorityKey, '-subj', '/CN=authority', '-keyout', caKey, '-out', ca],
    ...extensions.flatMap((extension) => ['-addext', extension]),
  );
  openssl(...make, '-new', ...ownKey, '-subj', subject, '-keyout', key, '-out', request);
  writeFileSync(list, ['basicConstraints=CA:FALSE', names, ...(kind.extensions ?? []), ''].join('\n'));
  const signer = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', `-${digest}`, '-extfile', list];
  openssl('x509', '-req', '-days', String(days), ...signer, '-in', request, '-out', cert);
  return { ca, cert, key };
}
