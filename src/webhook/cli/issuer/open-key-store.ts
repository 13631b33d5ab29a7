import type { Clock } from '../../../shared/base/clock.ts';
import type { Host } from '../../../shared/base/host.ts';
import { openFileKeyStore } from '../../issuer/file-key-store.ts';
import type { KeyStore } from '../../issuer/key-store.ts';
import { openSecretKeyStore } from '../../issuer/secret-key-store.ts';
import { openCluster } from '../../sources/cluster.ts';
import type { KeyPlace } from './issuer-settings.ts';

/**
 * Opens the store of the signing keys.
 *
 * @throws ConfigError if it cannot be used
 */
export async function openKeyStore(place: KeyPlace, host: Host, clock: Clock): Promise<KeyStore> {
  if ('file' in place) return openFileKeyStore({ file: place.file, uid: host.uid });
  return openSecretKeyStore({ secret: place.secret, cluster: await openCluster(place.kubeconfig, clock) });
}
