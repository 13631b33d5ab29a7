/** Renders the chart with helm, and reads the objects. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { CHART, findHelm, runHelm } from '../../scripts/kubernetes/find-helm.ts';
import type { HelmRun } from '../../scripts/kubernetes/find-helm.ts';
import { skipBecause } from './missing-tools.ts';

export interface Container {
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly hostNetwork?: boolean;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly containers: readonly [Container];
  readonly volumes: readonly Readonly<Record<string, unknown>>[];
}

/** An object of Kubernetes, as far as tests read it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly {
    readonly resources: string[];
    readonly resourceNames?: string[];
    readonly verbs: string[];
  }[];
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** The values files in ci/, by their name without `-values.yaml`. */
export const VALUES_FILES = new Map(
  readdirSync(join(CHART, 'ci')).map((file) => [file.replace('-values.yaml', ''), join(CHART, 'ci', file)]),
);

const helm = await findHelm();

/** Why tests of the chart are skipped, or false. */
export const skipWithoutHelm = 'missing' in helm ? skipBecause(helm.missing) : false;

/** Runs helm with a folder of its own. */
export function helmIn(folder: string, ...args: readonly string[]): Promise<HelmRun> {
  if ('missing' in helm) throw new Error(helm.missing);
  return runHelm(helm.path, folder, args);
}

/** @throws Error if YAML is not an object of Kubernetes */
export function readObjects(yaml: string): readonly KubernetesObject[] {
  return (loadAll(yaml) as (KubernetesObject | null)[]).filter((object) => object !== null);
}

/** Finds the pods' specification of the Deployment or DaemonSet of the webhook or of the issuer. */
export function findPodSpec(objects: readonly KubernetesObject[], server: 'webhook' | 'issuer' = 'webhook'): PodSpec {
  const workload = objects.find(
    ({ kind, metadata }) =>
      (kind === 'Deployment' || kind === 'DaemonSet') && metadata.name.endsWith('-issuer') === (server === 'issuer'),
  );
  const { template } = workload?.spec as { template: { spec: PodSpec } };
  return template.spec;
}
