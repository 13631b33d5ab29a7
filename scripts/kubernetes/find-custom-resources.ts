// Finds the definitions of the custom resources that the chart can create, as their projects publish them in Go modules.

import { copyFile, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { load } from 'js-yaml';
import { pathExists } from '../lib/path-exists.ts';
import { findDevelopmentCache, tryToFillCacheFolder } from '../lib/development-cache.ts';
import type { CacheStaging } from '../lib/development-cache.ts';
import { findGo } from '../lib/go.ts';
import { downloadModule } from '../lib/go-module.ts';
import type { GoModule } from '../lib/go-module.ts';

const OPERATOR: GoModule = {
  path: 'github.com/prometheus-operator/prometheus-operator',
  version: 'v0.85.0',
  sum: 'h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=',
};

const CERT_MANAGER: GoModule = {
  path: 'github.com/cert-manager/cert-manager',
  version: 'v1.21.2',
  sum: 'h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=',
};

const FILES: readonly (readonly [GoModule, string])[] = [
  ...['podmonitors', 'prometheusrules', 'servicemonitors'].map(
    (name) => [OPERATOR, `example/prometheus-operator-crd/monitoring.coreos.com_${name}.yaml`] as const,
  ),
  [CERT_MANAGER, 'deploy/crds/cert-manager.io_certificates.yaml'],
];

/** A definition, as far as it is read here. */
export interface CustomResource {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly group: string; readonly names: { readonly kind: string; readonly plural: string } };
}

/** The definitions, or why they are missing. */
export type CustomResources = { readonly definitions: readonly CustomResource[] } | { readonly missing: string };

/** Finds the definitions, and downloads their modules the first time. */
export async function findCustomResources(): Promise<CustomResources> {
  const cache = findDevelopmentCache();
  const folder = join(cache, `custom-resources-${OPERATOR.version}-${CERT_MANAGER.version}`);
  if (!(await pathExists(folder))) {
    const go = findGo();
    if (go === undefined) return { missing: 'Go is not installed' };
    const failure = await tryToFillCacheFolder(folder, (staging) => download(go, staging));
    if (failure !== undefined) return { missing: `the custom resources are not available: ${failure}` };
  }
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  return { definitions: texts.map((text) => load(text) as CustomResource) };
}

async function download(go: string, { work, done }: CacheStaging): Promise<void> {
  const env = {
    ...process.env,
    GOFLAGS: '-modcacherw',
    GOMODCACHE: join(work, 'modules'),
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
  };
  for (const [module, file] of FILES) {
    const source = await downloadModule(go, module, { cwd: work, env });
    await copyFile(join(source, file), join(done, basename(file)));
  }
}
