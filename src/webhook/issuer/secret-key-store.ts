/** Signing keys in a Secret of the cluster. The API server orders the changes of replicas by the version of the object. */
import { ConfigError, PluginError } from '../../shared/base/errors.ts';
import { ClusterError } from '../sources/cluster-error.ts';
import type { ClusterSecrets, SecretContent, SecretName } from '../sources/cluster.ts';
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
  readonly replace: SecretContent['replace'];
}

/** What to do about an answer of the API server, by its status. */
type Hints = Readonly<Record<number, string>>;

/** Makes the store of a Secret. */
export function openSecretKeyStore({ secret, cluster }: SecretKeyStoreSettings): KeyStore {
  const { namespace } = secret;
  const place = `Secret ${namespace}/${secret.name}`;
  const login = 'check the credentials for the API server in --kubeconfig (KEYSTONE_KUBECONFIG_FILE)';
  const useHints: Hints = {
    401: login,
    403: 'give the issuer the rights to get and update this Secret, as the chart does',
    404: 'somebody has deleted the Secret; restore it from a backup',
    422: 'the Secret must not be immutable',
  };
  const createHints: Hints = {
    401: login,
    403: `use a kubeconfig with the right to create Secrets in the namespace ${namespace}`,
    404: `create the namespace ${namespace} first`,
  };

  async function attempt<T>(hints: Hints, request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof ClusterError)) throw error;
      const { status, message } = error;
      throw new PluginError('unreachable', `the signing keys in the ${place} cannot be used: ${message}`, {
        hint: (status === undefined ? undefined : hints[status]) ?? 'check the API server and the connection to it',
      });
    }
  }

  async function read(): Promise<StoredKeys> {
    const found = await attempt(useHints, () => cluster.readSecret(secret));
    if (found === undefined) {
      throw new ConfigError(`the ${place} with the signing keys does not exist`, {
        hint: 'restore it from a backup, or make the first key with "issuer rotate --create"',
      });
    }
    const text = found.data.get(KEY);
    if (text === undefined) {
      throw new ConfigError(`the ${place} has no key "${KEY}"`, { hint: 'restore the signing keys from a backup' });
    }
    return { keys: await parseKeyDocument(new UntrackedSecret(text), `the ${place}`), replace: found.replace };
  }

  return {
    place,
    read: async () => (await read()).keys,
    async update(change) {
      for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts += 1) {
        const { keys, replace } = await read();
        const next = await change(keys);
        if (next === undefined) return keys;
        const data = { [KEY]: renderKeyDocument(next) };
        if (await attempt(useHints, () => replace(data))) return next;
      }
      throw new PluginError('unreachable', `other processes keep changing the ${place}`, { hint: 'try again' });
    },
    async create(keys) {
      const isNew = await attempt(createHints, () => cluster.createSecret(secret, { [KEY]: renderKeyDocument(keys) }));
      if (!isNew) throw new ConfigError(`the ${place} already exists`, { hint: 'leave out --create' });
    },
  };
}
