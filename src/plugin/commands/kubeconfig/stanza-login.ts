/** A login as the flags and variables of an exec stanza. */
import { resolvePath } from '../../../shared/base/host.ts';
import type { Host } from '../../../shared/base/host.ts';
import { Secret } from '../../../shared/base/secret.ts';
import type { Setting } from '../../../shared/options/layer.ts';
import { describeSources } from '../../../shared/options/option.ts';
import type { Option } from '../../config/option.ts';
import { OPTIONS } from '../../auth-methods/registry.ts';

/** A login as an exec stanza contains it. */
export interface StanzaLogin {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** How to set the secrets that were left out. */
  readonly leftOut: readonly string[];
}

const listVariables = (options: readonly Option[]): ReadonlySet<string> =>
  new Set(options.flatMap(({ env = [], legacyEnv = [] }) => [...env, ...legacyEnv]));

/** Variables of the plugin that hold secrets. */
export const SECRET_VARIABLES: ReadonlySet<string> = listVariables(OPTIONS.filter(({ secret }) => secret === true));

/** Variables of the plugin with values that can be shown. */
export const HARMLESS_VARIABLES: ReadonlySet<string> = listVariables(OPTIONS.filter(({ secret }) => secret !== true));

type StanzaSetting = { readonly flag: string } | { readonly name: string; readonly value: string };

/** Flags override the variables of a shell, but every user of the machine can read them; secrets must be variables. */
function formatSetting(option: Option, value: string | Secret, host: Host | undefined): StanzaSetting | undefined {
  const [name] = option.env ?? [];
  if (value instanceof Secret) return name === undefined ? undefined : { name, value: value.reveal() };
  // kubectl runs in other folders than this one.
  const isPath = option.kind === 'file' || option.name === 'cache-dir';
  const text = isPath && host !== undefined ? resolvePath(value, host) : value;
  if (option.flag === false) return name === undefined ? undefined : { name, value: text };
  return { flag: option.kind === 'switch' && text === 'true' ? `--${option.name}` : `--${option.name}=${text}` };
}

/**
 * Writes settings as flags and variables of an exec stanza.
 *
 * @param canHoldSecret whether the secret of an option can be written to a kubeconfig
 * @param host makes paths absolute; undefined leaves them as they are
 */
export function makeStanzaLogin(
  settings: readonly (readonly [Option, Setting])[],
  canHoldSecret: (option: Option) => boolean,
  host?: Host,
): StanzaLogin {
  const flags: string[] = [];
  const env: Record<string, string> = {};
  const leftOut: string[] = [];
  for (const [option, { value }] of settings) {
    if (value instanceof Secret && !canHoldSecret(option)) {
      leftOut.push(describeSources(option));
      continue;
    }
    const setting = formatSetting(option, value, host);
    if (setting === undefined) continue;
    if ('flag' in setting) flags.push(setting.flag);
    else env[setting.name] = setting.value;
  }
  return { flags, env, leftOut };
}
