/** A request for a resource of the cluster; an absent attribute is the empty string, as in Kubernetes. */
export interface ResourceRequest {
  readonly kind: 'resource';
  readonly verb: string;
  readonly namespace: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
}

/** A request for a path of the API server that is not a resource, such as `/healthz`. */
export interface PathRequest {
  readonly kind: 'path';
  readonly verb: string;
  readonly path: string;
}

export type AccessRequest = ResourceRequest | PathRequest;

/** Describes a request in a few words, such as `get deployments.apps/scale in web`. */
export function describeRequest(request: AccessRequest): string {
  if (request.kind === 'path') return `${request.verb} ${request.path}`;
  const { verb, resource, subresource, group, namespace } = request;
  const target = `${resource}${group === '' ? '' : `.${group}`}${subresource === '' ? '' : `/${subresource}`}`;
  return `${verb} ${target}${namespace === '' ? '' : ` in ${namespace}`}`;
}
