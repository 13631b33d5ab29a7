import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { codeOf, ConfigError } from '../errors.ts';
import type { Host } from '../host.ts';
import { Secret } from '../secret.ts';
import type { ResolvedConfig } from './resolve.ts';

/** How to trust Keystone and how to show who we are, as PEM text. */
export interface TlsSettings {
  readonly insecure: boolean;
  /** Undefined means the authorities of this system. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
  /** The files that were read, as absolute paths. */
  readonly files: readonly string[];
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

function locate(path: string, host: Host): string {
  const home = host.home();
  const expanded = home !== undefined && /^~(?=$|[/\\])/.test(path) ? join(home, path.slice(1)) : path;
  return isAbsolute(expanded) ? expanded : resolve(host.cwd, expanded);
}

function readText(path: string, origin: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${origin}: ${path} cannot be read (${codeOf(error)})`, {
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
export function readTls(config: ResolvedConfig, host: Host): TlsSettings {
  const files: string[] = [];
  const read = (name: string): { text: string; path: string; origin: string } | undefined => {
    const setting = config.text(name);
    if (setting === undefined) return undefined;
    const path = locate(setting, host);
    files.push(path);
    return { text: readText(path, config.origin(name)), path, origin: config.origin(name) };
  };
  const insecure = config.on('insecure') || (config.has('verify') && !config.on('verify'));
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
    files,
  };
}
