import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { getErrorCode, ConfigError } from '../base/errors.ts';
import { readStampedFile, stampFile } from '../base/file-stamp.ts';
import { makeReadError, MAX_PEM_BYTES } from '../base/read-file.ts';
import type { FileStamp, StampedFile } from '../base/file-stamp.ts';
import type { Environment, Host } from '../base/host.ts';
import { Secret } from '../base/secret.ts';
import { resolvePath } from '../base/host.ts';
import type { Config } from '../options/config.ts';
import { findOwnWeakness, getStrength } from './certificate-strength.ts';
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
  /** What the user should know about settings that are not used. */
  readonly warnings?: readonly string[];
}

/**
 * Makes the settings of a client that shows no certificate.
 *
 * @param ca the only authorities, as PEM text; undefined means this system's
 */
export function trustAuthorities(ca: string | undefined): TlsSettings {
  return { insecure: false, ca, systemAuthorities: [], cert: undefined, key: undefined, paths: {}, files: [] };
}

/**
 * Variables that name the authorities for the HTTP libraries of many programs, `openstack` among them. Like them, the
 * plugin uses the first one that is set if no setting of OpenStack names authorities.
 */
const AMBIENT_VARIABLES = ['REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'] as const;

/** What decides how {@link readTlsSettings} reads, besides the settings. */
export interface TlsSources {
  /** Where to look for the variables that other programs use too; nowhere by default. */
  readonly ambient?: Environment;
  /** Keystone has a plain http:// URL, so a file that cannot be used must not stop the login. */
  readonly isPlaintext?: boolean;
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
const WEAK_CERTIFICATE = /_(?:EE|CA)_KEY_TOO_SMALL$|_(?:EE|CA)_MD_TOO_WEAK$/;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/** The names of certificates in a folder that `openssl rehash` has prepared: OpenSSL reads no others. */
const HASHED_NAME = /^[0-9a-f]{8}\.\d+$/;

/** More than all the authorities of any system. */
const MAX_FOLDER_BYTES = 16 * 1024 * 1024;

/** A file or a folder of certificates. */
interface PemSource {
  readonly text: string;
  readonly path: string;
  readonly origin: string;
  readonly files: readonly FileStamp[];
}

/** Whether authorities are in a folder, and not in a file. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function listHashedNames(path: string, origin: string): string[] {
  try {
    // A link to a file that is gone is none, as for OpenSSL.
    return readdirSync(path).filter((name) => HASHED_NAME.test(name) && existsSync(join(path, name)));
  } catch (error) {
    throw new ConfigError(`${origin}: ${path} cannot be read (${getErrorCode(error)})`, {
      hint: `set ${origin} to a PEM file that you can read`,
    });
  }
}

/** Reads the certificates of a folder. A new file in it changes the stamp of the folder. */
function readHashedFolder(path: string, origin: string): PemSource {
  const folder = stampFile(path);
  const names = listHashedNames(path, origin);
  const contents: StampedFile[] = [];
  let bytes = 0;
  for (const name of names.sort()) {
    const content = readPem(join(path, name), origin);
    bytes += content.bytes.length;
    if (bytes > MAX_FOLDER_BYTES) {
      throw new ConfigError(`${origin}: the certificates in ${path} are larger than 16 MiB`, {
        hint: `set ${origin} to a PEM file`,
      });
    }
    contents.push(content);
  }
  if (contents.length === 0) {
    throw new ConfigError(`${origin}: ${path} cannot be read (it is a folder without hashed certificates)`, {
      hint: `set ${origin} to a PEM file, or run "openssl rehash" on the folder`,
    });
  }
  const text = contents.map((content) => content.bytes.toString()).join('\n');
  return { text, path, origin, files: [folder, ...contents.map(({ file }) => file)] };
}

function readPem(path: string, origin: string): StampedFile {
  try {
    return readStampedFile(path, MAX_PEM_BYTES);
  } catch (error) {
    throw makeReadError(`${origin}: ${path}`, error, `set ${origin} to a PEM file that you can read`);
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

/** A setting of authorities and where it comes from. */
interface NamedPath {
  readonly path: string;
  readonly origin: string;
}

/** Finds what names the authorities: `cacert`, a path in `verify`, or a variable of other programs. */
function findAuthorities(config: Config<TlsOptionName>, ambient: Environment): NamedPath | undefined {
  const cacert = config.text('cacert');
  if (cacert !== undefined) return { path: cacert, origin: config.origin('cacert') };
  const verify = config.text('verify');
  if (verify !== undefined && verify !== 'true') return { path: verify, origin: config.origin('verify') };
  const variable = AMBIENT_VARIABLES.find((name) => (ambient[name] ?? '').trim() !== '');
  return variable === undefined ? undefined : { path: ambient[variable]?.trim() ?? '', origin: variable };
}

/** Says what names the authorities: the setting's origin, for messages. */
export function describeAuthoritiesOrigin(config: Config<TlsOptionName>, ambient: Environment): string {
  return findAuthorities(config, ambient)?.origin ?? config.origin('cacert');
}

function readAuthorities({ path, origin }: NamedPath, host: Host): PemSource {
  const absolute = resolvePath(path, host);
  if (isFolder(absolute)) return readHashedFolder(absolute, origin);
  const { bytes, file } = readPem(absolute, origin);
  const text = bytes.toString();
  requireCertificate(text, absolute, origin);
  return { text, path: absolute, origin, files: [file] };
}

function readFile(name: 'cert' | 'key', config: Config<TlsOptionName>, host: Host): PemSource | undefined {
  const setting = config.text(name);
  if (setting === undefined) return undefined;
  const path = resolvePath(setting, host);
  const { bytes, file } = readPem(path, config.origin(name));
  return { text: bytes.toString(), path, origin: config.origin(name), files: [file] };
}

/** A client certificate and its key, which can be in one file. */
interface ClientCertificate {
  readonly cert: PemSource;
  readonly key: PemSource;
}

function readClientCertificate(config: Config<TlsOptionName>, host: Host): ClientCertificate | undefined {
  const cert = readFile('cert', config, host);
  if (cert === undefined) return undefined;
  const key = readFile('key', config, host) ?? cert;
  requireCertificate(cert.text, cert.path, cert.origin);
  requireKey(key.text, key.path, key.origin);
  const tooWeak = (): ConfigError =>
    new ConfigError(`${cert.origin}: the certificate in ${cert.path} is too weak`, {
      hint: 'get one with an RSA key of at least 2048 bits or an EC key, signed with SHA-256 or better',
    });
  if (findOwnWeakness(cert.text) !== undefined) throw tooWeak();
  try {
    createSecureContext({ cert: cert.text, key: key.text, ...getStrength() });
  } catch (error) {
    if (WEAK_CERTIFICATE.test(getErrorCode(error))) throw tooWeak();
    throw new ConfigError(`${cert.origin} and ${key.origin} do not belong together`, {
      hint: 'set OS_KEY to the key of the certificate in OS_CERT',
    });
  }
  return { cert, key };
}

function listFiles({ cert, key }: ClientCertificate): readonly FileStamp[] {
  return key.path === cert.path ? cert.files : [...cert.files, ...key.files];
}

/** Reads something that a plain http:// connection does not need. */
function readUnlessPlaintext<T>(read: () => T, isPlaintext: boolean, otherwise: T, warnings: string[]): T {
  try {
    return read();
  } catch (error) {
    if (!isPlaintext || !(error instanceof ConfigError)) throw error;
    warnings.push(`${error.message}; the URL of Keystone is http://, so it is not needed there`);
    return otherwise;
  }
}

/**
 * Reads the TLS options and the files that they name.
 *
 * @throws ConfigError if a file cannot be read or is not PEM, or if certificate and key do not belong together
 */
export function readTlsSettings(
  config: Config<TlsOptionName>,
  host: Host,
  { ambient = {}, isPlaintext = false }: TlsSources = {},
): TlsSettings {
  const warnings: string[] = [];
  const insecure = config.isOn('insecure') || config.text('verify') === 'false';
  const named = insecure ? undefined : findAuthorities(config, ambient);
  // Without the file, no server is trusted, because the user wants no others.
  const nobody = named && { text: '', path: named.path, origin: named.origin, files: [] };
  const ca = readUnlessPlaintext(() => named && readAuthorities(named, host), isPlaintext, nobody, warnings);
  const own = readUnlessPlaintext(() => readClientCertificate(config, host), isPlaintext, undefined, warnings);
  if (!config.has('cert') && config.has('key')) {
    warnings.push(`${config.origin('key')} is not used, because no certificate is set (OS_CERT)`);
  }
  return {
    insecure,
    ca: ca?.text,
    systemAuthorities: ca === undefined && !insecure ? AUTHORITY_VARIABLES.map((name) => host.env[name]) : [],
    cert: own?.cert.text,
    key: own === undefined ? undefined : new Secret(own.key.text),
    paths: { ca: ca?.path, cert: own?.cert.path, key: own?.key.path },
    files: [...(ca?.files ?? []), ...(own === undefined ? [] : listFiles(own))],
    warnings,
  };
}
