// Builds each kube-apiserver that the tests use and that is missing, the newest first, once, into the user's cache. On two
// processors, a build takes six minutes (1.20) or a quarter of an hour or more (the newest). It needs no root.
//
// usage: node scripts/setup.mjs scripts/build-kube-apiserver.ts [VERSION...]

import { chmod, copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathExists } from './lib/path-exists.ts';
import type { Builder } from './kubernetes/build/build.ts';
import { buildFromDebian } from './kubernetes/build/from-debian.ts';
import { buildFromModules } from './kubernetes/build/from-modules.ts';
import { buildForCache } from './lib/cached-build.ts';
import { findApiServerPath } from './kubernetes/find-kubernetes.ts';
import { KUBERNETES_VERSIONS } from './kubernetes/versions.ts';
import type { KubernetesVersion } from './kubernetes/versions.ts';

const BUILDERS: Readonly<Record<KubernetesVersion['source'], Builder>> = {
  debian: buildFromDebian,
  modules: buildFromModules,
};

const say = (line: string): void => {
  console.log(line);
};

async function build({ version, source }: KubernetesVersion, path: string): Promise<void> {
  await buildForCache(`kube-apiserver ${version}`, dirname(path), async ({ work, done, log }) => {
    const program = join(done, 'kube-apiserver');
    await copyFile(await BUILDERS[source]({ version, folder: work, log, say }), program);
    await chmod(program, 0o755);
  });
}

const words = process.argv.slice(2);
const unknown = words.find((word) => !KUBERNETES_VERSIONS.some(({ version }) => version === word));
if (unknown === undefined) {
  for (const each of KUBERNETES_VERSIONS.filter(({ version }) => words.length === 0 || words.includes(version))) {
    const path = await findApiServerPath(each.version);
    if (await pathExists(path)) say(`kube-apiserver ${each.version} is already built: ${path}`);
    else await build(each, path);
  }
} else {
  const versions = KUBERNETES_VERSIONS.map(({ version }) => version).join(', ');
  console.error(`build-kube-apiserver: "${unknown}" is not one of the versions ${versions}`);
  process.exitCode = 2;
}
