// Finds etcd, which is a package of Debian.

import { join } from 'node:path';
import { canRunProgram, describeSystem, findOrUnpack } from '../lib/debian-packages.ts';

const PROGRAM = 'usr/bin/etcd';

/** Returns the path of etcd. It is unpacked into the user's cache, once, if it is not installed. */
export async function findEtcd(say: (line: string) => void): Promise<{ path: string } | { missing: string }> {
  const found = await findOrUnpack(
    {
      what: 'etcd',
      packages: ['etcd-server'],
      folder: `etcd-${await describeSystem()}`,
      canRun: (root) => canRunProgram(root, PROGRAM, '--version'),
    },
    say,
  );
  return 'missing' in found ? found : { path: join(found.root ?? '/', PROGRAM) };
}
