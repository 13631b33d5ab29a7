// Finds a real API server and its etcd for the end-to-end test and the demo. Debian has a package of etcd, but only the
// sources of Kubernetes. Building them takes minutes, so scripts/build-kube-apiserver.ts does it once, on demand.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem, pathExists, findOrUnpack } from '../lib/debian-packages.ts';
import { findDevelopmentCache } from '../lib/development-cache.ts';

/** Paths of the programs, or why they are missing. */
export type KubernetesPrograms = { readonly apiServer: string; readonly etcd: string } | { readonly missing: string };

/** The version in Debian 12. */
export const KUBERNETES_VERSION = '1.20.2';

const run = promisify(execFile);

/** Returns the path that the build writes the API server to. */
export async function findApiServerPath(): Promise<string> {
  const folder = `kube-apiserver-${KUBERNETES_VERSION}-${await describeSystem()}`;
  return join(findDevelopmentCache(), folder, 'kube-apiserver');
}

/** Whether a program below `root`, or an installed one, runs with this argument. */
export async function canRunProgram(root: string | undefined, path: string, argument: string): Promise<boolean> {
  return run(join(root ?? '/', path), [argument], { cwd: '/' }).then(
    () => true,
    () => false,
  );
}

/**
 * Returns the paths of both programs. It does not build the API server.
 *
 * @param named another API server than the one that is built
 */
export async function findKubernetes(say: (line: string) => void, named?: string): Promise<KubernetesPrograms> {
  const apiServer = named ?? (await findApiServerPath());
  if (named === undefined && !(await pathExists(apiServer)))
    return { missing: 'kube-apiserver is not built; run "node scripts/setup.mjs scripts/build-kube-apiserver.ts"' };
  const etcd = 'usr/bin/etcd';
  const found = await findOrUnpack(
    {
      what: 'etcd',
      packages: ['etcd-server'],
      folder: `etcd-${await describeSystem()}`,
      canRun: (root) => canRunProgram(root, etcd, '--version'),
    },
    say,
  );
  return 'missing' in found ? found : { apiServer, etcd: join(found.root ?? '/', etcd) };
}
