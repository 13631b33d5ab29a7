import { ConfigError } from '../../shared/base/errors.ts';
import type { Layer, OptionName, PairName } from './option.ts';
import type { ResolvedConfig } from './resolve-config.ts';
import type { Reference, Scope } from '../../shared/keystone/scope.ts';

/** Reads an id/name pair; the id is the safer of the two. */
export function readReference(config: ResolvedConfig, pair: PairName): Reference | undefined {
  const id = config.text(`${pair}-id`);
  if (id !== undefined) return { id };
  const name = config.text(`${pair}-name`);
  return name === undefined ? undefined : { name };
}

/** The options that each ask for a scope of their own, by kind. A plain domain yields to all of them. */
const CLAIMS: readonly { kind: 'project' | 'system' | 'trust' | 'unscoped'; options: readonly OptionName[] }[] = [
  { kind: 'project', options: ['project-id', 'project-name'] },
  { kind: 'system', options: ['system-scope'] },
  { kind: 'trust', options: ['trust-id'] },
  { kind: 'unscoped', options: ['unscoped'] },
];

function originsOf(layer: Layer, options: readonly OptionName[]): string[] {
  return options.flatMap((name) => {
    const setting = layer.get(name);
    return setting === undefined || setting.value === 'false' ? [] : [setting.origin];
  });
}

/** Which kind of scope the strongest layer that asks for one asks for. */
function claimedKind(layers: readonly Layer[]): (typeof CLAIMS)[number]['kind'] | undefined {
  for (const layer of layers) {
    const claims = CLAIMS.map(({ kind, options }) => ({ kind, origins: originsOf(layer, options) })).filter(
      ({ origins }) => origins.length > 0,
    );
    const [first, second] = claims;
    if (first !== undefined && second !== undefined) {
      const [one, other] = [first.origins[0] ?? first.kind, second.origins[0] ?? second.kind];
      throw new ConfigError(
        `${one} and ${other} ask for different scopes`,
        { hint: `unset one of them` },
        'config-conflict',
      );
    }
    if (first !== undefined) return first.kind;
  }
  return undefined;
}

/** Names of the options that the scope still lacks: a project's name means nothing without a domain. */
export function listMissingScope(config: ResolvedConfig): OptionName[] {
  const named = claimedKind(config.layers) === 'project' && !config.has('project-id');
  return named && readReference(config, 'project-domain') === undefined ? ['project-domain-name'] : [];
}

function projectScope(config: ResolvedConfig): Scope {
  const id = config.text('project-id');
  if (id !== undefined) return { kind: 'project', id };
  const name = config.text('project-name') ?? '';
  // An absent domain has been asked for before; Keystone itself would refuse the empty one.
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
 * Decides the scope: a stronger layer replaces a weaker one's, a domain counts only where nothing else is asked for.
 *
 * @throws ConfigError when one layer asks for two scopes
 */
export function resolveScope(config: ResolvedConfig): Scope {
  const kind = claimedKind(config.layers);
  return kind === undefined ? domainScope(config) : READERS[kind](config);
}
