/**
 * A clouds.yaml that merely lies in the current folder may be somebody else's: a checkout, an unpacked archive. It must
 * not send a secret that came from elsewhere to a place of its choice.
 */
import { ConfigError } from '../../shared/base/errors.ts';
import type { Setting } from '../../shared/options/layer.ts';
import type { Option } from './option.ts';
import type { ResolvedConfig } from './resolve-config.ts';

/**
 * The setting by which a file in the current folder decides where secrets go or whom to trust with them; undefined where
 * none does.
 */
export function findUntrustedSetting(config: ResolvedConfig, options: readonly Option[]): Setting | undefined {
  for (const { name, trustSensitive } of options) {
    const setting = config.setting(name);
    if (setting?.consentHint === undefined) continue;
    if (trustSensitive === true || trustSensitive === setting.value) return setting;
  }
  return undefined;
}

function refuse(destination: Setting, secret: string): never {
  throw new ConfigError(
    `${destination.origin}, a file that merely lies in the current folder, would decide where ${secret} goes`,
    { hint: destination.consentHint },
    'config-conflict',
  );
}

/**
 * Refuses such a setting beside a secret that was set elsewhere.
 *
 * @throws ConfigError naming both
 */
export function rejectUntrustedSettings(config: ResolvedConfig, options: readonly Option[]): void {
  const destination = findUntrustedSetting(config, options);
  if (destination === undefined) return;
  for (const { name, secret } of options) {
    const setting = secret ? config.setting(name) : undefined;
    if (setting !== undefined && setting.consentHint === undefined) refuse(destination, setting.origin);
  }
}

/**
 * Refuses such a setting for a login with a secret of this machine that no setting holds.
 *
 * @throws ConfigError naming the setting
 */
export function rejectUntrustedForMachineIdentity(config: ResolvedConfig, options: readonly Option[]): void {
  const destination = findUntrustedSetting(config, options);
  if (destination !== undefined) refuse(destination, "this machine's own credential");
}
