/**
 * Another user may have written a clouds.yaml in the current folder, such as a checkout or an unpacked archive. The
 * file must not decide where a secret from another source goes.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Option, OptionName } from './option.ts';
import type { ResolvedConfig } from './resolve-config.ts';

/** Finds a setting in a file of the current folder that decides where secrets go or whom to trust. */
export function findUntrustedSetting(config: ResolvedConfig, options: readonly Option[]): Setting | undefined {
  for (const { name, trustSensitive } of options) {
    const setting = config.setting(name);
    if (setting?.consentHint === undefined) continue;
    const isSensitive = trustSensitive === 'unless true' ? setting.value !== 'true' : trustSensitive === setting.value;
    if (trustSensitive === true || isSensitive) return setting;
  }
  return undefined;
}

function rejectSetting(setting: Setting, secret: string): never {
  throw new ConfigError(
    `${setting.origin}, a file in the current folder, must not decide where ${secret} goes`,
    { hint: setting.consentHint },
    'config-conflict',
  );
}

/**
 * Rejects untrusted settings when a secret comes from another source.
 *
 * @throws ConfigError (config-conflict) with the names of both settings
 */
export function rejectUntrustedSettings(config: ResolvedConfig, options: readonly Option[]): void {
  const untrusted = findUntrustedSetting(config, options);
  if (untrusted === undefined) return;
  for (const { name, secret } of options) {
    const setting = secret ? config.setting(name) : undefined;
    if (setting !== undefined && setting.consentHint === undefined) rejectSetting(untrusted, setting.origin);
  }
}

/**
 * Rejects untrusted settings for a login with a secret of this machine that no setting contains.
 *
 * @throws ConfigError (config-conflict) with the name of the setting
 */
export function rejectUntrustedForMachineIdentity(config: ResolvedConfig, options: readonly Option[]): void {
  const untrusted = findUntrustedSetting(config, options);
  if (untrusted !== undefined) rejectSetting(untrusted, 'the credential of this machine');
}

/**
 * Rejects settings of a file in the current folder without exception: a cached token, for which no secret is set, would
 * go where they say.
 *
 * @param secret what they decide about, for the message
 * @throws ConfigError (config-conflict) with the name of the setting
 */
export function rejectAnyUntrusted(config: ResolvedConfig, names: readonly OptionName[], secret: string): void {
  const untrusted = names.map((name) => config.setting(name)).find((setting) => setting?.consentHint !== undefined);
  if (untrusted !== undefined) rejectSetting(untrusted, secret);
}
