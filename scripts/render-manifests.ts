// Writes packaging/webhook/manifests.yaml from the chart. A test compares them.
//
// usage: node scripts/setup.mjs scripts/render-manifests.ts

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHART, findHelm, runHelm } from './kubernetes/find-helm.ts';
import { renderManifests } from './kubernetes/render-manifests.ts';

const helm = await findHelm();
if ('missing' in helm) throw new Error(helm.missing);
const folder = mkdtempSync(join(tmpdir(), 'cka-helm-'));
const { status, stdout, stderr } = await runHelm(helm.path, folder, [
  ...['template', 'k8s-keystone-auth', CHART, '--namespace', 'kube-system'],
  ...['--values', `${CHART}/ci/manifests-values.yaml`],
]);
rmSync(folder, { recursive: true, force: true });
if (status !== 0) throw new Error(stderr);
writeFileSync('packaging/webhook/manifests.yaml', await renderManifests(stdout));
