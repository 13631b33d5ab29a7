/**
 * One request to the keyring, in a process of its own. The keyring library blocks in native code, even while it opens
 * an entry, if the bus does not answer. A thread that blocks there cannot be stopped, but a process can be killed.
 */
import { readFileSync } from 'node:fs';
import { EXEC_INFO, makeProcessHost } from '../../shared/base/host.ts';
import type { Host } from '../../shared/base/host.ts';
import { renderJson, renderLines } from '../../shared/base/terminal-text.ts';
import { isUnixBusAddress } from '../programs/session-bus.ts';

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

/**
 * Whether the plugin started this process. A kubeconfig can name this program too, and its variables would then tell
 * the library what to run.
 */
function isStartedByPlugin({ env, platform }: Host): boolean {
  if (env[EXEC_INFO] !== undefined) return false;
  return platform !== 'linux' || isUnixBusAddress(env['DBUS_SESSION_BUS_ADDRESS']);
}

async function answer(host: Host): Promise<void> {
  const { key, secret, remove } = JSON.parse(readFileSync(0, 'utf8')) as KeyringRequest;
  // Loaded last: the library reads the environment.
  const { Entry } = await import('@napi-rs/keyring');
  const entry = new Entry(SERVICE, key, OPTIONS);
  if (remove === true) entry.deleteCredential();
  else if (secret === undefined) host.writeOut(renderJson(entry.getPassword() ?? ''));
  else entry.setPassword(secret);
}

const host = makeProcessHost();
host.setExitStatus(1);
if (isStartedByPlugin(host)) {
  // Whoever started it knows that it failed; the message of a library is not for users.
  answer(host).then(
    () => {
      host.setExitStatus(0);
    },
    () => undefined,
  );
} else {
  host.writeErr(renderLines(['client-keystone-auth: the keyring helper is for the plugin itself']));
}
