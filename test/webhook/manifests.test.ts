// The plain manifests, without helm: their objects, and a webhook that accepts their command line.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadAll } from 'js-yaml';
import t from 'tap';
import { CHECKED_VERSIONS, findKubernetesValidate } from '../../scripts/kubernetes/find-kubernetes-validate.ts';
import { parseCommandLine } from '../../src/shared/options/parse-command-line.ts';
import { WEBHOOK_OPTIONS } from '../../src/webhook/cli/options.ts';
import { readWebhookSettings } from '../../src/webhook/cli/settings.ts';
import { fakeHost } from '../support/fake-host.ts';
import { skipBecause } from '../support/missing-tools.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template: { readonly spec: { readonly containers: readonly [{ readonly args: string[] }] } };
  };
}

const manifests = loadAll(readFileSync('packaging/webhook/manifests.yaml', 'utf8')) as Manifest[];
const validate = await findKubernetesValidate();
const skip = 'missing' in validate ? skipBecause(validate.missing) : false;

void t.test('the manifests are valid from Kubernetes 1.29 to the newest version', { skip }, (t) => {
  if ('missing' in validate) return;
  const objects = manifests.map((object) => ({ where: `${object.kind} ${object.metadata.name}`, object }));
  const { status, stdout, stderr } = spawnSync(validate.python, ['scripts/kubernetes/validate_objects.py'], {
    input: JSON.stringify({ versions: CHECKED_VERSIONS, objects }),
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
  t.strictSame(JSON.parse(stdout), []);
  t.end();
});

void t.test('the manifests have these objects, and the webhook accepts its command line', (t) => {
  t.strictSame(manifests.map(({ kind }) => kind).toSorted(), [
    'ClusterRole',
    'ClusterRoleBinding',
    'Deployment',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'Role',
    'RoleBinding',
    'Service',
    'ServiceAccount',
  ]);
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  const args = deployment?.spec?.template.spec.containers[0].args ?? [];
  const settings = readWebhookSettings(
    fakeHost({ argv: args, env: {}, cwd: '/' }),
    parseCommandLine(args, WEBHOOK_OPTIONS).flags,
  );
  t.match(settings, { policyConfigMapName: 'keystone-policy', syncConfigMapName: 'keystone-sync' });
  t.equal(settings.refusesAccessRules, true);
  t.end();
});
