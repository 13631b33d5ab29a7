/** Readers of single settings, which the webhook and the issuer have in common. */
import { resolve } from 'node:path';
import { ConfigError } from '../../shared/base/errors.ts';
import type { Config } from '../../shared/options/config.ts';
import { hasAdjacentPlaceholders } from '../authn/kubernetes-name.ts';
import type { ListenAddress } from '../server/listen.ts';
import type { NamedFile } from '../sources/read-text-file.ts';

const DEFAULT_LISTEN = '0.0.0.0:8443';

/**
 * Reads `--listen`.
 *
 * @throws ConfigError
 */
export function readListen(config: Config<'listen'>): ListenAddress {
  const text = config.text('listen') ?? DEFAULT_LISTEN;
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  if (port === '' || Number(port) > 65_535) {
    throw new ConfigError(`--listen must be an address and a port, not "${text}"`, {
      hint: `use ADDRESS:PORT, such as ${DEFAULT_LISTEN}`,
    });
  }
  // As in Go, no address means all addresses.
  return { host: host === '' ? '::' : host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

/**
 * Reads a number from 1 to 9999.
 *
 * @throws ConfigError
 */
export function readCount<Name extends string>(config: Config<Name>, name: Name, defaultCount: number): number {
  const text = config.text(name);
  if (text === undefined) return defaultCount;
  if (/^\d{1,4}$/.test(text) && Number(text) > 0) return Number(text);
  throw new ConfigError(`--${name} must be a number from 1 to 9999, not "${text}"`);
}

/**
 * Reads an option in seconds, and returns ms.
 *
 * @throws ConfigError
 */
export function readSeconds<Name extends string>(
  config: Config<Name>,
  name: Name,
  defaultSeconds: number,
  maxSeconds: number,
): number {
  const seconds = Number(config.text(name) ?? defaultSeconds);
  if (seconds > maxSeconds) throw new ConfigError(`--${name} must be ${maxSeconds} at most, not ${seconds}`);
  return seconds * 1000;
}

/**
 * Reads a format of names.
 *
 * @param letters of the placeholders that it may contain
 * @throws ConfigError
 */
export function readFormat<Name extends string>(config: Config<Name>, name: Name, letters: string): string {
  const format = config.text(name) ?? '%n';
  const invalid = [...format.matchAll(/%(.?)/g)].find(([, letter = '']) => letter === '' || !letters.includes(letter));
  // Without %n and %i, all users would have the same name.
  if (invalid !== undefined || !/%[ni]/.test(format)) {
    const placeholders = Array.from(letters, (letter) => `%${letter}`).join(', ');
    throw new ConfigError(`${config.origin(name)} must contain %n or %i, and no placeholders except ${placeholders}`, {
      hint: 'write %n for the name or %i for the ID, such as %d:%n',
    });
  }
  if (hasAdjacentPlaceholders(format)) {
    throw new ConfigError(`${config.origin(name)} must have a separator between its placeholders`, {
      hint: 'without one, two users could have the same name; use a format such as %d:%n',
    });
  }
  return format;
}

/** @throws ConfigError if a required setting is missing */
export function requireSetting<T>(setting: T | undefined, name: string, variable: string): T {
  if (setting !== undefined) return setting;
  throw new ConfigError(`--${name} is missing`, { hint: `set --${name} or ${variable}` });
}

/** Finds the file that an option names, relative to the folder `cwd`. */
export function findNamedFile<Name extends string>(
  config: Config<Name>,
  name: Name,
  cwd: string,
): NamedFile | undefined {
  const text = config.text(name);
  return text === undefined ? undefined : { path: resolve(cwd, text), origin: config.origin(name) };
}
