/** Logs in with a secret that the user saved in the system keyring, so that no prompt is needed. */
import { AuthRejected, CacheError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { replaceVersion } from '../../shared/keystone/discovery.ts';
import type { OptionName } from '../config/option.ts';
import { resolveConfig } from '../config/resolve-config.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { forgetSavedSecret, readSavedSecret } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import { digestFields } from '../cache/sha256.ts';
import { listTlsFields } from './cache-key.ts';
import type { LoginContext } from './login-context.ts';

const PURPOSE = 'client-keystone-auth kept secret 2';
const ORIGIN = 'the keyring';

/** The identity of a secret that an option of the login holds. */
export interface OptionSecretIdentity extends SavedSecretIdentity {
  readonly option: OptionName;
}

/**
 * Identifies the secret that would be saved for these settings. As in the cache key, Keystone's URL and the TLS
 * settings are part of it: a foreign kubeconfig cannot make the plugin send the secret to another Keystone.
 *
 * @returns undefined if the auth method has no such secret, or if the settings do not identify its owner yet
 */
export function identifySavedSecret(
  { method, tls, host }: LoginContext,
  config: ResolvedConfig,
): OptionSecretIdentity | undefined {
  const { savableSecret } = method;
  const url = readAuthUrl(config);
  const isIncomplete = findMissingOptions(config, method).some(({ name }) => name !== savableSecret?.option);
  if (savableSecret === undefined || url === undefined || isIncomplete) return undefined;
  const keystone = replaceVersion(url, 'v3');
  const { option } = savableSecret;
  const uid = host.uid === undefined ? undefined : String(host.uid);
  const fields = [uid, keystone, ...listTlsFields(tls), method.name, ...savableSecret.identify(config)];
  return {
    key: digestFields(PURPOSE, fields),
    option,
    description: `${savableSecret.describe(config)} at ${keystone}`,
  };
}

/** Settings completed with a saved secret, and the identity of that secret. */
export interface ConfigWithSavedSecret {
  readonly config: ResolvedConfig;
  readonly identity: SavedSecretIdentity;
}

/** Completes settings that lack only a secret with the one saved for exactly this identity, if there is one. */
export async function applySavedSecret(login: LoginContext): Promise<ConfigWithSavedSecret | undefined> {
  const { config, method, host, reporter } = login;
  const isComplete = findMissingOptions(config, method).length === 0;
  const identity = isComplete ? undefined : identifySavedSecret(login, config);
  if (identity === undefined) return undefined;
  try {
    const secret = await readSavedSecret(host, identity, reporter.waitFor);
    if (secret === undefined) return undefined;
    reporter.debug(`the keyring holds ${identity.description}`);
    const layer = new Map([[identity.option, { value: secret, origin: ORIGIN }]]);
    return { config: resolveConfig([...config.layers, layer], OPTIONS), identity };
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    reporter.warn(`${error.message}, so the saved secret cannot be used: ${identity.description}`);
    return undefined;
  }
}

/** Refusals after which the same secret is never tried again: each attempt counts against the account. */
const FINAL_REFUSALS: readonly PluginErrorCode[] = ['auth-rejected', 'credential-unknown', 'password-expired'];

/** Forgets a saved secret that Keystone refused, and returns the refusal with a hint that says so. */
export async function forgetRejectedSecret(
  { host, reporter }: LoginContext,
  { identity }: ConfigWithSavedSecret,
  refusal: AuthRejected,
): Promise<AuthRejected> {
  if (!FINAL_REFUSALS.includes(refusal.code)) return refusal;
  const outcome = await forgetSavedSecret(host, identity, reporter.waitFor).then(
    () => 'the saved secret is forgotten',
    (error: unknown) => {
      if (error instanceof CacheError) return 'the saved secret is not used again';
      throw error;
    },
  );
  return new AuthRejected(refusal.code, refusal.message, {
    hint: `${outcome}; log in with "client-keystone-auth login", with --save-secret to save the correct one`,
    requestId: refusal.requestId,
    cause: refusal,
  });
}
