import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { ConfigError } from '../../shared/base/errors.ts';
import { areAuthorities } from '../../shared/http/authorities.ts';
import { Secret } from '../../shared/base/secret.ts';

/** The certificate and key of the server, and the CA of its clients, as PEM text. */
export interface Certificates {
  readonly cert: string;
  readonly key: Secret;
  readonly clientCa: string | undefined;
  /** When the certificate of the server expires, ms since 1970, UTC. */
  readonly expiresAt: number;
}

/**
 * Checks the content of the certificate files.
 *
 * @throws ConfigError if a file is invalid or does not match the others
 */
export function parseCertificates(cert: string, key: string, clientCa: string | undefined): Certificates {
  try {
    createSecureContext({ cert, key, minVersion: 'TLSv1.2', ...(clientCa === undefined ? {} : { ca: clientCa }) });
  } catch {
    // Renewal replaces two files, and a check may read them in between.
    throw new ConfigError('the certificate and its key do not match or are not PEM', {
      hint: 'set --tls-cert-file (TLS_CERT_FILE) and --tls-private-key-file (TLS_PRIVATE_KEY_FILE) to a matching pair',
    });
  }
  if (clientCa !== undefined && !areAuthorities(clientCa)) {
    throw new ConfigError('the file of --client-ca-file contains no PEM certificate, or one that cannot be read', {
      hint: 'set it to a file of whole certificates, each from -----BEGIN CERTIFICATE----- to its end',
    });
  }
  return { cert, key: new Secret(key), clientCa, expiresAt: new X509Certificate(cert).validToDate.getTime() };
}
