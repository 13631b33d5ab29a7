/** Signing keys in a Secret of the cluster. The API server orders the changes of replicas by the version of the object. */
import { ConfigError, PluginError } from '../../shared/base/errors.ts';
import { ClusterError } from '../sources/cluster-error.ts';
import type { ClusterSecrets, SecretName } from '../sources/cluster.ts';
import { UntrackedSecret } from '../review/untracked-secret.ts';
import { parseKeyDocument, renderKeyDocument } from './key-document.ts';
import type { KeyStore } from './key-store.ts';
import type { SigningKey } from './signing-key.ts';

/** The key of the Secret. */
const KEY = 'signing-keys.json';

/** A conflict means that another replica has just made its change. */
const MAX_ATTEMPTS = 5;

interface SecretKeyStoreSettings {
  readonly secret: SecretName;
  readonly cluster: ClusterSecrets;
}

interface StoredKeys {
  readonly keys: readonly SigningKey[];
  readonly resourceVersion: string;
}

/** Makes the store of a Secret. */
export function openSecretKeyStore({ secret, cluster }: SecretKeyStoreSettings): KeyStore {
  const place = `Secret ${secret.namespace}/${secret.name}`;

  async function attempt<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error;
      throw new PluginError('unreachable', `the signing keys in the ${place} cannot be used: ${error.message}`, {
        hint: 'check the connection to the API server, and that the issuer has the right to get and update the Secret',
      });
    }
  }

  async function read(): Promise<StoredKeys> {
    const found = await attempt(() => cluster.readSecret(secret));
    if (found === undefined) {
      throw new ConfigError(`the ${place} with the signing keys does not exist`, {
        hint: 'restore it from a backup, or make the first key with "issuer rotate --create"',
      });
    }
    const text = found.data.get(KEY);
    if (text === undefined) {
      throw new ConfigError(`the ${place} has no key "${KEY}"`, { hint: 'restore the signing keys from a backup' });
    }
    return {
      keys: await parseKeyDocument(new UntrackedSecret(text), `the ${place}`),
      resourceVersion: found.resourceVersion,
    };
  }

  return {
    place,
    read: async () => (await read()).keys,
    async update(change) {
      for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts += 1) {
        const { keys, resourceVersion } = await read();
        const next = await change(keys);
        if (next === undefined) return keys;
        const data = { [KEY]: renderKeyDocument(next) };
        if (await attempt(() => cluster.replaceSecret(secret, data, resourceVersion))) return next;
      }
      throw new PluginError('unreachable', `the ${place} changes too often`);
    },
    async create(keys) {
      const isNew = await attempt(() => cluster.createSecret(secret, { [KEY]: renderKeyDocument(keys) }));
      if (!isNew) throw new ConfigError(`the ${place} exists already`, { hint: 'leave out --create' });
    },
  };
}
