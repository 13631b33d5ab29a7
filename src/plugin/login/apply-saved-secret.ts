/** Logging in with a secret that the user has had kept in the keyring, so that nobody need be asked. */
import { digestFields } from '../cache/sha256.ts';
import { forgetSavedSecret, readSavedSecret } from '../cache/saved-secret.ts';
import type { SavedSecretIdentity } from '../cache/saved-secret.ts';
import { readAuthUrl } from '../../shared/keystone/auth-url.ts';
import { resolveConfig } from '../../shared/options/resolve-config.ts';
import type { ResolvedConfig } from '../../shared/options/resolve-config.ts';
import { AuthRejected, CacheError } from '../../shared/base/errors.ts';
import type { PluginErrorCode } from '../../shared/base/errors.ts';
import { replaceVersion } from '../../shared/keystone/discovery.ts';
import { findMissingOptions } from '../auth-methods/missing-options.ts';
import { OPTIONS } from '../auth-methods/registry.ts';
import { listTlsFields } from './cache-key.ts';
import type { LoginContext } from './login-context.ts';

const PURPOSE = 'client-keystone-auth kept secret 1';
const ORIGIN = 'the keyring';

/**
 * Whose secret would be kept for these settings. As in the cache key, Keystone's URL and whom TLS believes are part of it:
 * a kubeconfig from elsewhere cannot have the secret sent to another Keystone, or to this one over a way of its choice.
 *
 * @returns undefined where the way to log in has no such secret, or it is not known yet whose it would be
 */
export function identifySavedSecret(
  { method, tls, host }: LoginContext,
  config: ResolvedConfig,
): SavedSecretIdentity | undefined {
  const { savableSecret } = method;
  const url = readAuthUrl(config);
  const unknown = findMissingOptions(config, method).some(({ name }) => name !== savableSecret?.option);
  if (savableSecret === undefined || url === undefined || unknown) return undefined;
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

/** Settings that a kept secret completes, and whose it is. */
export interface ConfigWithSavedSecret {
  readonly config: ResolvedConfig;
  readonly identity: SavedSecretIdentity;
}

/** Completes settings that lack nothing but a secret with the one that is kept for exactly this identity, if one is. */
export async function applySavedSecret(login: LoginContext): Promise<ConfigWithSavedSecret | undefined> {
  const { config, method, host, reporter } = login;
  const [missing] = findMissingOptions(config, method);
  const identity = missing === undefined ? undefined : identifySavedSecret(login, config);
  if (identity === undefined) return undefined;
  try {
    const secret = await readSavedSecret(host, identity);
    if (secret === undefined) return undefined;
    reporter.debug(`the keyring holds ${identity.description}`);
    const layer = new Map([[identity.option, { value: secret, origin: ORIGIN }]]);
    return { config: resolveConfig([...config.layers, layer], OPTIONS), identity };
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    reporter.warn(`${error.message}, so what it holds cannot be used: ${identity.description}`);
    return undefined;
  }
}

/** Refusals after which the same secret is not tried again: each counts against the account. */
const FINAL: readonly PluginErrorCode[] = ['auth-rejected', 'credential-unknown', 'password-expired'];

/** Forgets a kept secret that Keystone has refused, and says so with the refusal. */
export async function forgetRejectedSecret(
  { host }: LoginContext,
  { identity }: ConfigWithSavedSecret,
  refusal: AuthRejected,
): Promise<AuthRejected> {
  if (!FINAL.includes(refusal.code)) return refusal;
  const done = await forgetSavedSecret(host, identity).then(
    () => 'is forgotten',
    (error: unknown) => {
      if (error instanceof CacheError) return 'is not used any more';
      throw error;
    },
  );
  return new AuthRejected(refusal.code, refusal.message, {
    hint: `what the keyring held ${done}; log in with "client-keystone-auth login", with --save-secret to keep the right one`,
    requestId: refusal.requestId,
    cause: refusal,
  });
}
