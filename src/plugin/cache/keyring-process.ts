/**
 * One request to the keyring, in a process of its own. The keyring library blocks in native code, even while it opens
 * an entry, if the bus does not answer. A thread that blocks there cannot be stopped, but a process can be killed.
 */
import { Entry } from '@napi-rs/keyring';
import { readFileSync, writeFileSync } from 'node:fs';

/** The request on stdin, so that no secret is in argv. */
export interface KeyringRequest {
  readonly key: string;
  /** The secret to store; undefined reads the stored secret. */
  readonly secret?: string;
  /** Removes the stored secret. */
  readonly remove?: true;
}

/** A constant, so that a request cannot reach the entries of other programs. */
const SERVICE = 'client-keystone-auth';

/** The default would silently fall back to the kernel's keyutils, which lose their entries. */
const OPTIONS = { linux: { store: 'secret-service' } } as const;

const { key, secret, remove } = JSON.parse(readFileSync(0, 'utf8')) as KeyringRequest;
const entry = new Entry(SERVICE, key, OPTIONS);
if (remove === true) entry.deleteCredential();
else if (secret === undefined) writeFileSync(1, entry.getPassword() ?? '');
else entry.setPassword(secret);
