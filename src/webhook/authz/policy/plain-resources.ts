/** Resources of Kubernetes without any subresource. */
const PLAIN_RESOURCES = new Set([
  ...['configmaps', 'secrets', 'endpoints', 'events', 'limitranges', 'podtemplates', 'bindings', 'componentstatuses'],
  ...['controllerrevisions', 'endpointslices', 'leases', 'csinodes', 'csidrivers', 'csistoragecapacities'],
  ...['storageclasses', 'ingressclasses', 'priorityclasses', 'runtimeclasses'],
  ...['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'],
  ...['mutatingwebhookconfigurations', 'validatingwebhookconfigurations', 'validatingadmissionpolicybindings'],
]);

/** Whether a resource can have subresources; custom resources can. */
export const hasSubresources = (resource: string): boolean => !PLAIN_RESOURCES.has(resource);
