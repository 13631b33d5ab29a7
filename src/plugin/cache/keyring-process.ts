/**
 * One question to the keyring, in a process of its own: the library waits in native code, even for the bus while an entry
 * is made, and a thread that waits there can be neither interrupted nor left behind. A process can be killed.
 */
import { Entry } from '@napi-rs/keyring';
import { readFileSync, writeFileSync } from 'node:fs';

/** What arrives on stdin, so that no secret is in argv. */
export interface KeyringRequest {
  readonly key: string;
  /** What to keep; undefined asks for what is kept. */
  readonly secret?: string;
  /** Forgets what is kept. */
  readonly remove?: true;
}

/** Nothing else can be asked for: what belongs to other programs is none of our business. */
const SERVICE = 'client-keystone-auth';

/** Otherwise it would fall back, silently, to the kernel's keyutils, which forget. */
const OPTIONS = { linux: { store: 'secret-service' } } as const;

const { key, secret, remove } = JSON.parse(readFileSync(0, 'utf8')) as KeyringRequest;
const entry = new Entry(SERVICE, key, OPTIONS);
if (remove === true) entry.deleteCredential();
else if (secret === undefined) writeFileSync(1, entry.getPassword() ?? '');
else entry.setPassword(secret);
