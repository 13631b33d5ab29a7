/** What the pods of the chart see in their volumes, without a kubelet. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubernetesObject, PodSpec } from './rendered-chart.ts';

/** Where the chart mounts all volumes. */
export const VOLUMES_FOLDER = '/etc/k8s-keystone-auth';

interface Volume {
  readonly secret?: { readonly secretName: string };
  readonly configMap?: { readonly name: string };
}

/**
 * Writes the ConfigMaps and Secrets of a pod into a folder that stands for {@link VOLUMES_FOLDER}.
 *
 * @param get reads an object from the API server
 */
export async function mountVolumes(
  { volumes, containers }: PodSpec,
  folder: string,
  get: (kind: 'configmaps' | 'secrets', name: string) => Promise<KubernetesObject>,
): Promise<void> {
  for (const { name, mountPath } of containers[0].volumeMounts) {
    const volume = volumes.find((candidate) => candidate['name'] === name) as Volume;
    const isSecret = volume.secret !== undefined;
    const source = isSecret
      ? await get('secrets', volume.secret.secretName)
      : await get('configmaps', volume.configMap?.name ?? '');
    const target = mountPath.replace(VOLUMES_FOLDER, folder);
    mkdirSync(target, { recursive: true, mode: 0o700 });
    for (const [key, text] of Object.entries(source.data ?? {})) {
      writeFileSync(join(target, key), isSecret ? Buffer.from(text, 'base64') : text, { mode: 0o600 });
    }
  }
}
