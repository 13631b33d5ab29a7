/** An entity of Keystone, by ID or by name. */
export type Reference = { readonly id: string } | { readonly name: string };

/** What a token is valid for (Keystone API, "scope"). */
export type Scope =
  | { readonly kind: 'project'; readonly id: string }
  | { readonly kind: 'project'; readonly name: string; readonly domain: Reference }
  | { readonly kind: 'domain'; readonly domain: Reference }
  | { readonly kind: 'system' }
  | { readonly kind: 'trust'; readonly id: string }
  | { readonly kind: 'unscoped' }
  /** No scope requested: the user's default project, if there is one. */
  | { readonly kind: 'default' };

/** Describes a reference in a message. */
export function describeReference(reference: Reference): string {
  return 'id' in reference ? reference.id : reference.name;
}

/** The scope to exchange an unscoped token for; undefined if no scope is requested. */
export function findRescopeTarget(scope: Scope): Scope | undefined {
  return scope.kind === 'default' || scope.kind === 'unscoped' ? undefined : scope;
}

/** Describes a scope in a message, with the preposition: "on project demo". */
export function describeScope(scope: Scope): string {
  switch (scope.kind) {
    case 'project':
      return `on project ${describeReference(scope)}`;
    case 'domain':
      return `on domain ${describeReference(scope.domain)}`;
    case 'system':
      return 'on the system';
    case 'trust':
      return `with trust ${scope.id}`;
    case 'unscoped':
      return 'without a scope';
    case 'default':
      return 'on the default project';
  }
}

/** The scope as fields of a cache key. */
export function listScopeFields(scope: Scope): (string | undefined)[] {
  const domain = 'domain' in scope ? scope.domain : undefined;
  return [
    scope.kind,
    'id' in scope ? scope.id : undefined,
    'name' in scope ? scope.name : undefined,
    domain !== undefined && 'id' in domain ? domain.id : undefined,
    domain !== undefined && 'name' in domain ? domain.name : undefined,
  ];
}
