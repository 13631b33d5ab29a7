import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { getErrorCode, ConfigError } from '../base/errors.ts';
import { readStampedFile } from '../base/file-stamp.ts';
import type { FileStamp, StampedFile } from '../base/file-stamp.ts';
import type { Host } from '../base/host.ts';
import { Secret } from '../base/secret.ts';
import { resolvePath } from '../base/host.ts';
import type { Config } from '../options/config.ts';

/** The options that {@link readTlsSettings} reads. */
export type TlsOptionName = 'cacert' | 'cert' | 'key' | 'insecure' | 'verify';

/** How to trust Keystone and how to show who we are, as PEM text. */
export interface TlsSettings {
  readonly insecure: boolean;
  /** Undefined means the authorities of this system. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
  /** Where those three were read, for a program that wants files; the key may stand in the certificate's. */
  readonly paths: {
    readonly ca?: string | undefined;
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
  };
  /** The files that were read. */
  readonly files: readonly FileStamp[];
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

function readPem(path: string, origin: string): StampedFile {
  try {
    return readStampedFile(path);
  } catch (error) {
    throw new ConfigError(`${origin}: ${path} cannot be read (${getErrorCode(error)})`, {
      hint: `set ${origin} to a PEM file that you may read`,
    });
  }
}

function requireCertificate(text: string, path: string, origin: string): void {
  try {
    new X509Certificate(text.slice(Math.max(0, text.indexOf(CERTIFICATE))));
  } catch {
    throw new ConfigError(`${origin}: ${path} holds no PEM certificate`, {
      hint: `set ${origin} to a file with a line ${CERTIFICATE}`,
    });
  }
}

function requireKey(text: string, path: string, origin: string): void {
  if (ENCRYPTED.test(text)) {
    throw new ConfigError(`${origin}: the key in ${path} is locked with a passphrase`, {
      hint: 'give a key without one, in a file that only you can read',
    });
  }
  if (!PRIVATE_KEY.test(text)) {
    throw new ConfigError(`${origin}: ${path} holds no PEM private key`, {
      hint: `set OS_KEY to the key of the certificate in OS_CERT`,
    });
  }
}

/**
 * Reads the TLS options and the files that they name.
 *
 * @throws ConfigError when a file cannot be read, is not PEM, or certificate and key do not belong together
 */
export function readTlsSettings(config: Config<TlsOptionName>, host: Host): TlsSettings {
  const files: FileStamp[] = [];
  const read = (name: 'cacert' | 'cert' | 'key'): { text: string; path: string; origin: string } | undefined => {
    const setting = config.text(name);
    if (setting === undefined) return undefined;
    const path = resolvePath(setting, host);
    const { bytes, file } = readPem(path, config.origin(name));
    files.push(file);
    return { text: bytes.toString(), path, origin: config.origin(name) };
  };
  const insecure = config.isOn('insecure') || (config.has('verify') && !config.isOn('verify'));
  const ca = insecure ? undefined : read('cacert');
  if (ca !== undefined) requireCertificate(ca.text, ca.path, ca.origin);
  const cert = read('cert');
  const key = read('key') ?? cert;
  if (cert === undefined && key !== undefined) {
    throw new ConfigError(`${key.origin} is set without a certificate`, { hint: 'set OS_CERT (--cert) too' });
  }
  if (cert !== undefined && key !== undefined) {
    requireCertificate(cert.text, cert.path, cert.origin);
    requireKey(key.text, key.path, key.origin);
    try {
      createSecureContext({ cert: cert.text, key: key.text });
    } catch {
      throw new ConfigError(`${cert.origin} and ${key.origin} do not belong together`, {
        hint: 'set OS_KEY to the key of the certificate in OS_CERT',
      });
    }
  }
  return {
    insecure,
    ca: ca?.text,
    cert: cert?.text,
    key: key === undefined ? undefined : new Secret(key.text),
    paths: { ca: ca?.path, cert: cert?.path, key: key?.path },
    files,
  };
}
