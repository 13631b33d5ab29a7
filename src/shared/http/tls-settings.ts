import { X509Certificate } from 'node:crypto';
import { createSecureContext, DEFAULT_CIPHERS } from 'node:tls';
import { getErrorCode, ConfigError } from '../base/errors.ts';
import { readStampedFile } from '../base/file-stamp.ts';
import { describeReadFailure, MAX_PEM_BYTES } from '../base/read-file.ts';
import type { FileStamp, StampedFile } from '../base/file-stamp.ts';
import type { Host } from '../base/host.ts';
import { Secret } from '../base/secret.ts';
import { resolvePath } from '../base/host.ts';
import type { Config } from '../options/config.ts';
import { AUTHORITY_VARIABLES } from './system-authorities.ts';

/** The options that {@link readTlsSettings} reads. */
export type TlsOptionName = 'cacert' | 'cert' | 'key' | 'insecure' | 'verify';

/** How Keystone is trusted and which client certificate is shown, as PEM text. */
export interface TlsSettings {
  readonly insecure: boolean;
  /** Undefined means this system's authorities. */
  readonly ca: string | undefined;
  /** The values of {@link AUTHORITY_VARIABLES}, if they decide what this system's authorities are. */
  readonly systemAuthorities: readonly (string | undefined)[];
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
  /** The files of those three, for a program that needs files; the certificate's file may contain the key too. */
  readonly paths: {
    readonly ca?: string | undefined;
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
  };
  /** The files that were read. */
  readonly files: readonly FileStamp[];
}

/**
 * Node's ciphers at OpenSSL's security level 2 (openssl SSL_CTX_set_security_level): keys of RSA have at least 2048
 * bits, and SHA-1 signs nothing.
 */
export const STRONG_CIPHERS = `${DEFAULT_CIPHERS}:@SECLEVEL=2`;

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
const WEAK_CERTIFICATE = /_(?:EE|CA)_KEY_TOO_SMALL$|_(?:EE|CA)_MD_TOO_WEAK$/;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

function readPem(path: string, origin: string): StampedFile {
  try {
    return readStampedFile(path, MAX_PEM_BYTES);
  } catch (error) {
    throw new ConfigError(`${origin}: ${path} cannot be read (${describeReadFailure(error)})`, {
      hint: `set ${origin} to a PEM file that you can read`,
    });
  }
}

/**
 * Checks that a text contains a PEM certificate.
 *
 * @throws ConfigError that names the origin and the file
 */
export function requireCertificate(text: string, path: string, origin: string): void {
  try {
    new X509Certificate(text.slice(Math.max(0, text.indexOf(CERTIFICATE))));
  } catch {
    throw new ConfigError(`${origin}: ${path} does not contain a PEM certificate`, {
      hint: `set ${origin} to a file that contains ${CERTIFICATE}`,
    });
  }
}

function requireKey(text: string, path: string, origin: string): void {
  if (ENCRYPTED.test(text)) {
    throw new ConfigError(`${origin}: the key in ${path} is protected by a passphrase`, {
      hint: 'use a key without a passphrase, in a file that only you can read',
    });
  }
  if (!PRIVATE_KEY.test(text)) {
    throw new ConfigError(`${origin}: ${path} does not contain a PEM private key`, {
      hint: `set OS_KEY to the key of the certificate in OS_CERT`,
    });
  }
}

/**
 * Reads the TLS options and the files that they name.
 *
 * @throws ConfigError if a file cannot be read or is not PEM, or if certificate and key do not belong together
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
      createSecureContext({ cert: cert.text, key: key.text, ciphers: STRONG_CIPHERS });
    } catch (error) {
      if (WEAK_CERTIFICATE.test(getErrorCode(error))) {
        throw new ConfigError(`${cert.origin}: the certificate in ${cert.path} is too weak`, {
          hint: 'get one with an RSA key of at least 2048 bits or an EC key, signed with SHA-256 or better',
        });
      }
      throw new ConfigError(`${cert.origin} and ${key.origin} do not belong together`, {
        hint: 'set OS_KEY to the key of the certificate in OS_CERT',
      });
    }
  }
  return {
    insecure,
    ca: ca?.text,
    systemAuthorities: ca === undefined && !insecure ? AUTHORITY_VARIABLES.map((name) => host.env[name]) : [],
    cert: cert?.text,
    key: key === undefined ? undefined : new Secret(key.text),
    paths: { ca: ca?.path, cert: cert?.path, key: key?.path },
    files,
  };
}
