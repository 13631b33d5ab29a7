// Finds real API servers and their etcd for the tests and the demo. Debian has a package of etcd, but no kube-apiserver.
// Building one takes minutes, so scripts/build-kube-apiserver.ts does it once, on demand.

import { join } from 'node:path';
import { describeSystem } from '../lib/debian-packages.ts';
import { pathExists } from '../lib/path-exists.ts';
import { findDevelopmentCache } from '../lib/development-cache.ts';
import { findEtcd } from './find-etcd.ts';
import { KUBERNETES_VERSIONS } from './versions.ts';

/** Paths of the programs. */
export interface KubernetesPrograms {
  /** The version of the API server, such as 1.36.3. */
  readonly version: string;
  readonly apiServer: string;
  readonly etcd: string;
}

/** Why the programs are missing. */
export interface MissingKubernetes {
  readonly version: string;
  readonly missing: string;
}

/** Returns the path that the build of a version writes the API server to. */
export async function findApiServerPath(version: string): Promise<string> {
  return join(findDevelopmentCache(), `kube-apiserver-${version}-${await describeSystem()}`, 'kube-apiserver');
}

async function findVersion(
  version: string,
  say: (line: string) => void,
  named?: string,
): Promise<KubernetesPrograms | MissingKubernetes> {
  const apiServer = named ?? (await findApiServerPath(version));
  if (named === undefined && !(await pathExists(apiServer)))
    return {
      version,
      missing: `kube-apiserver ${version} is not built; run "node scripts/setup.mjs scripts/build-kube-apiserver.ts"`,
    };
  const etcd = await findEtcd(say);
  return 'missing' in etcd ? { version, missing: etcd.missing } : { version, apiServer, etcd: etcd.path };
}

/** Returns the programs of every version, the newest first. It does not build an API server. */
export async function findEachKubernetes(
  say: (line: string) => void,
): Promise<readonly (KubernetesPrograms | MissingKubernetes)[]> {
  const found: (KubernetesPrograms | MissingKubernetes)[] = [];
  // In turn, because the first one may unpack etcd.
  for (const { version } of KUBERNETES_VERSIONS) found.push(await findVersion(version, say));
  return found;
}

/**
 * Returns the programs of the newest version that is built.
 *
 * @param named another API server than those that are built
 */
export async function findKubernetes(
  say: (line: string) => void,
  named?: string,
): Promise<KubernetesPrograms | MissingKubernetes> {
  if (named !== undefined) return findVersion('', say, named);
  const found = await findEachKubernetes(say);
  return found.find((each) => !('missing' in each)) ?? found[0] ?? { version: '', missing: 'no version is known' };
}
