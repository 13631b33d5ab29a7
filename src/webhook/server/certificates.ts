import { createSecureContext } from 'node:tls';
import { ConfigError } from '../../shared/base/errors.ts';
import { Secret } from '../../shared/base/secret.ts';

/** What the server shows to who connects, and whom it lets ask, as PEM text. */
export interface Certificates {
  readonly cert: string;
  readonly key: Secret;
  readonly clientCa: string | undefined;
}

/**
 * Checks the texts of the files.
 *
 * @throws ConfigError where they cannot be used, alone or together
 */
export function parseCertificates(cert: string, key: string, clientCa: string | undefined): Certificates {
  try {
    createSecureContext({ cert, key, minVersion: 'TLSv1.2', ...(clientCa === undefined ? {} : { ca: clientCa }) });
  } catch {
    // A certificate is renewed in two files, and may be read between them.
    throw new ConfigError('the certificate and its key cannot be used together', {
      hint: 'set TLS_CERT_FILE and TLS_PRIVATE_KEY_FILE to PEM files that belong together',
    });
  }
  if (clientCa !== undefined && !clientCa.includes('-----BEGIN CERTIFICATE-----')) {
    throw new ConfigError('the file of --client-ca-file holds no PEM certificate');
  }
  return { cert, key: new Secret(key), clientCa };
}
