import { ConfigError } from '../../shared/base/errors.ts';
import type { Layer, OptionName } from './option.ts';
import type { ResolvedConfig } from './resolve-config.ts';
import type { Scope } from '../../shared/keystone/scope.ts';
import { readReference } from './option-readers.ts';

/** The options that each ask for a scope, by kind. All of them take precedence over a domain. */
const CLAIMS: readonly { kind: 'project' | 'system' | 'trust' | 'unscoped'; options: readonly OptionName[] }[] = [
  { kind: 'project', options: ['project-id', 'project-name'] },
  { kind: 'system', options: ['system-scope'] },
  { kind: 'trust', options: ['trust-id'] },
  { kind: 'unscoped', options: ['unscoped'] },
];

function listOrigins(layer: Layer, options: readonly OptionName[]): string[] {
  return options.flatMap((name) => {
    const setting = layer.get(name);
    // The switch can be off; a project can have the name "false".
    const isOff = name === 'unscoped' && setting?.value === 'false';
    return setting === undefined || isOff ? [] : [setting.origin];
  });
}

/** Finds the kind of scope that the strongest layer with a scope asks for. */
function findClaimedKind(layers: readonly Layer[]): (typeof CLAIMS)[number]['kind'] | undefined {
  for (const layer of layers) {
    const claims = CLAIMS.map(({ kind, options }) => ({ kind, origins: listOrigins(layer, options) })).filter(
      ({ origins }) => origins.length > 0,
    );
    const [first, second] = claims;
    if (first !== undefined && second !== undefined) {
      const [origin, conflict] = [first.origins[0] ?? first.kind, second.origins[0] ?? second.kind];
      throw new ConfigError(
        `${origin} and ${conflict} ask for different scopes`,
        { hint: `unset one of them` },
        'config-conflict',
      );
    }
    if (first !== undefined) return first.kind;
  }
  return undefined;
}

/** Lists the names of the missing scope options: a project name is unique only within a domain. */
export function listMissingScope(config: ResolvedConfig): OptionName[] {
  const isNamedProject = findClaimedKind(config.layers) === 'project' && !config.has('project-id');
  return isNamedProject && readReference(config, 'project-domain') === undefined ? ['project-domain-name'] : [];
}

function projectScope(config: ResolvedConfig): Scope {
  const id = config.text('project-id');
  if (id !== undefined) return { kind: 'project', id };
  const name = config.text('project-name') ?? '';
  // The plugin prompts for a missing domain first; Keystone refuses an empty one.
  return { kind: 'project', name, domain: readReference(config, 'project-domain') ?? { name: '' } };
}

function domainScope(config: ResolvedConfig): Scope {
  const domain = readReference(config, 'domain');
  return domain === undefined ? { kind: 'default' } : { kind: 'domain', domain };
}

const READERS: Readonly<Record<(typeof CLAIMS)[number]['kind'], (config: ResolvedConfig) => Scope>> = {
  project: projectScope,
  system: () => ({ kind: 'system' }),
  trust: (config) => ({ kind: 'trust', id: config.text('trust-id') ?? '' }),
  unscoped: () => ({ kind: 'unscoped' }),
};

/**
 * Resolves the scope: a stronger layer takes precedence, and a domain is the scope only if no layer asks for another.
 *
 * @throws ConfigError when one layer asks for two scopes
 */
export function resolveScope(config: ResolvedConfig): Scope {
  const kind = findClaimedKind(config.layers);
  return kind === undefined ? domainScope(config) : READERS[kind](config);
}
