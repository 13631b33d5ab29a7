/** The content of a key store: a JSON document with the private keys and their times. */
import { ConfigError } from '../../shared/base/errors.ts';
import { isJsonObject, listAt, numberAt, objectAt, parseJsonObject, textAt } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { UntrackedSecret } from '../review/untracked-secret.ts';
import type { Secret } from '../../shared/base/secret.ts';
import { exportPrivateJwk, readSigningKey } from './signing-key.ts';
import type { SigningKey } from './signing-key.ts';

const VERSION = 1;

/** More than a schedule ever leaves in a store. */
const MAX_KEYS = 64;

/** The text of a key store. */
export function renderKeyDocument(keys: readonly SigningKey[]): Secret {
  const entries = keys.map((key) => ({
    createdAt: new Date(key.createdAt).toISOString(),
    signsFrom: new Date(key.signsFrom).toISOString(),
    jwk: exportPrivateJwk(key),
  }));
  return new UntrackedSecret(`${JSON.stringify({ version: VERSION, keys: entries }, null, 2)}\n`);
}

function readTime(entry: JsonObject, name: string): number {
  return Date.parse(textAt(entry, name) ?? '');
}

async function readEntry(entry: unknown): Promise<SigningKey | undefined> {
  if (!isJsonObject(entry)) return undefined;
  const jwk = objectAt(entry, 'jwk');
  const times = { createdAt: readTime(entry, 'createdAt'), signsFrom: readTime(entry, 'signsFrom') };
  if (jwk === undefined || Number.isNaN(times.createdAt) || Number.isNaN(times.signsFrom)) return undefined;
  return readSigningKey(jwk, times);
}

/**
 * Parses the text of a key store.
 *
 * @param place where the text comes from, for messages
 * @throws ConfigError that quotes nothing of the text
 */
export async function parseKeyDocument(text: Secret, place: string): Promise<readonly SigningKey[]> {
  const fail = (problem: string): ConfigError =>
    new ConfigError(`${place} ${problem}`, { hint: 'restore the signing keys from a backup' });
  const document = parseJsonObject(text.reveal());
  if (document === undefined) throw fail('contains no JSON object');
  if (numberAt(document, 'version') !== VERSION) throw fail(`is not a list of signing keys of version ${VERSION}`);
  const entries = listAt(document, 'keys');
  if (entries.length === 0) throw fail('contains no signing key');
  if (entries.length > MAX_KEYS) throw fail(`contains more than ${MAX_KEYS} signing keys`);
  const keys: SigningKey[] = [];
  for (const [index, entry] of entries.entries()) {
    const key = await readEntry(entry);
    if (key === undefined) throw fail(`contains a signing key that cannot be used (entry ${index + 1})`);
    keys.push(key);
  }
  return keys;
}
