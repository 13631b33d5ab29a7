// Finds a real API server and its etcd, for the test of the whole chain and the demo. Debian packages etcd, but of
// Kubernetes only the sources with all that they need; building those takes minutes, so it is done once, on demand.

import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeSystem, pathExists, findOrUnpack } from '../lib/debian-packages.ts';

/** Paths of the programs, or why there are none. */
export type KubernetesPrograms = { readonly apiServer: string; readonly etcd: string } | { readonly missing: string };

/** Of Debian 12. */
export const KUBERNETES_VERSION = '1.20.2';

const run = promisify(execFile);

/** Where the build leaves the API server. */
export async function findApiServerPath(): Promise<string> {
  const configured = process.env['XDG_CACHE_HOME'] ?? '';
  const home = configured === '' ? join(homedir(), '.cache') : configured;
  const folder = `kube-apiserver-${KUBERNETES_VERSION}-${await describeSystem()}`;
  return join(home, 'client-keystone-auth-dev', folder, 'kube-apiserver');
}

/** Whether a program below `root`, or as installed, runs with this argument. */
export async function canRunProgram(root: string | undefined, path: string, argument: string): Promise<boolean> {
  return run(join(root ?? '/', path), [argument], { cwd: '/' }).then(
    () => true,
    () => false,
  );
}

/** Returns where both are; the API server is not built here. */
export async function findKubernetes(say: (line: string) => void): Promise<KubernetesPrograms> {
  const apiServer = await findApiServerPath();
  if (!(await pathExists(apiServer)))
    return { missing: 'no API server has been built; see scripts/build-kube-apiserver.ts' };
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
