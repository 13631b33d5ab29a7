/** The plugin's options: their groups, and the types of shared/options with the plugin's option names. */
import type { Layer as AnyLayer } from '../../shared/options/layer.ts';
import type { Option as AnyOption } from '../../shared/options/option.ts';
import type { OptionName } from './option-names.ts';

export type { OptionName, PairName } from './option-names.ts';

/** Headings of `--help` and of the reference's tables, in their order. */
export const PLUGIN_OPTION_GROUPS = [
  'Command',
  'Keystone',
  'User',
  'Application credential',
  'Token',
  'Federation',
  'OpenID Connect',
  'Kubernetes',
  'OAuth 2.0 at Keystone',
  'Browser',
  'Scope',
  'Token exchange',
  'TLS',
  'Cache',
  'Run',
] as const;

export type OptionGroup = (typeof PLUGIN_OPTION_GROUPS)[number];

/**
 * What an option has to do with the cache key. A test compares this with what each auth method does.
 *
 * - `identity`: it decides who logs in, with what, or to what. It is part of the key.
 * - `trust`: it decides which server is asked, or how that server is trusted. It is part of the key.
 * - `proof`: a secret of the identity. It is not part of the key, so a token outlives a change of the secret.
 * - `unusedBecause`: it is not part of the key, because the same person gets the same token whatever its value is.
 */
export type KeyRole = 'identity' | 'trust' | 'proof' | { readonly unusedBecause: string };

/** An option of a login. */
export interface Option extends AnyOption<OptionName, OptionGroup> {
  readonly cacheKey: KeyRole;
}

/** The settings of a login from one source. */
export type Layer = AnyLayer<OptionName>;

/** Groups that say how a run behaves: a cloud does not decide that. */
const NEVER_IN_FILES: readonly OptionGroup[] = ['Command', 'Cache', 'Run'];

/** Whether clouds.yaml may hold the option. */
export function isInCloudsYaml(option: Option): boolean {
  return option.file !== 'nowhere' && !NEVER_IN_FILES.includes(option.group);
}

/** Whether the option says where to log in or as whom, and so belongs below `auth` in clouds.yaml. */
export function isBelowAuth(option: Option): boolean {
  return option.file === undefined && isInCloudsYaml(option);
}
