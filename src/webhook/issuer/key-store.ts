import type { SigningKey } from './signing-key.ts';

/** Returns the keys that should be stored; undefined to leave the store as it is. */
export type KeyChange = (keys: readonly SigningKey[]) => Promise<readonly SigningKey[] | undefined>;

/** Where the signing keys are kept. All replicas use the same one. */
export interface KeyStore {
  /** What it is, for messages and the log. */
  readonly place: string;
  /**
   * Reads the keys.
   *
   * @throws PluginError if the store is missing, cannot be read, or is invalid; it never makes a new key instead
   */
  readonly read: () => Promise<readonly SigningKey[]>;
  /**
   * Changes the keys. Of several replicas, one makes the change, and the others see its result in `change`.
   *
   * @returns the keys that are stored now
   * @throws PluginError
   */
  readonly update: (change: KeyChange) => Promise<readonly SigningKey[]>;
  /**
   * Creates the store.
   *
   * @throws PluginError if it already exists, or cannot be created
   */
  readonly create: (keys: readonly SigningKey[]) => Promise<void>;
}
