/** Subresources that a key of version 2 granted in the Go program, and does not grant here. */
import type { Compatibilities } from './compatibility.ts';
import type { FindingReporter } from './finding.ts';
import { hasGroup } from './key-pattern.ts';
import type { PatternSide } from './key-pattern.ts';
import { hasSubresources } from './plain-resources.ts';

const SCALABLE = ['deployments', 'replicasets', 'replicationcontrollers', 'statefulsets'];

/** The subresources of the resources of Kubernetes, apart from `status`. */
const SUBRESOURCES: ReadonlyMap<string, string> = new Map([
  ['pods', 'exec, attach, portforward, proxy, log, eviction and others'],
  ['services', 'proxy'],
  ['nodes', 'proxy'],
  ['serviceaccounts', 'token'],
  ['namespaces', 'finalize'],
  ['certificatesigningrequests', 'approval'],
  ...SCALABLE.map((resource) => [resource, 'scale'] as const),
]);

/** Reports that the key does not grant the subresources of its resources, unless it says so itself. */
export function reportLostSubresources(
  key: string,
  at: number,
  { isNegated, words }: PatternSide,
  compatibilities: Compatibilities,
  report: FindingReporter,
): void {
  // The Go program ignores a key that names a subresource.
  if (isNegated || compatibilities.has('v2-subresources') || words.some((word) => word.includes('/'))) return;
  if (words.includes('*')) return;
  const resources = words.filter((word) => hasSubresources(word) && !hasGroup(word));
  if (resources.length === 0) return;
  const descriptions = resources.map((word) => `${word} (${SUBRESOURCES.get(word) ?? 'status'})`);
  const remedy = resources.map((word) => `"${word}/*"`).join(', ');
  const subresources = `the subresources of ${descriptions.join(', ')}`;
  report('lost-subresources', `"${key}" also granted ${subresources} in the Go program; here they need ${remedy}`, at);
}
