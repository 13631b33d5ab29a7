import { parseCertificates } from '../server/certificates.ts';
import type { Certificates } from '../server/certificates.ts';
import type { SourceWatcher } from '../sources/source-watcher.ts';
import type { WebhookSettings } from './settings.ts';

/** The files of the certificate, its key and the CA of the clients, if there is one. */
export type CertificateFiles = Pick<WebhookSettings, 'certFile' | 'keyFile' | 'clientCaFile'>;

/**
 * Reads the certificate of a server, its key and the CA of its clients, and watches them.
 *
 * @throws ConfigError if they are invalid now
 */
export function watchCertificates(
  sources: SourceWatcher,
  { certFile, keyFile, clientCaFile }: CertificateFiles,
  apply: (certificates: Certificates) => void,
): Certificates {
  return sources.watchFiles({
    what: 'certificates',
    files: clientCaFile === undefined ? [certFile, keyFile] : [certFile, keyFile, clientCaFile],
    parse: ([cert = '', key = '', clientCa]) => parseCertificates(cert, key, clientCa),
    apply,
  });
}
