/** The secret that a login saves in the keyring, and the application credential that it creates. */
import { forgetSavedSecret, saveSecret, probeKeyring } from '../../cache/saved-secret.ts';
import { resolveConfig } from '../../config/resolve-config.ts';
import type { ResolvedConfig } from '../../config/resolve-config.ts';
import type { Layer, OptionName } from '../../config/option.ts';
import { CacheError, ConfigError, PluginError } from '../../../shared/base/errors.ts';
import type { Host, PromptSignal } from '../../../shared/base/host.ts';
import { objectAt, textAt } from '../../../shared/base/json.ts';
import type { JsonObject } from '../../../shared/base/json.ts';
import type { TokenRecord } from '../../cache/token-record.ts';
import { requestToken } from '../../login/request-token.ts';
import { identifySavedSecret } from '../../login/apply-saved-secret.ts';
import { computeCacheKey } from '../../login/cache-key.ts';
import { openLoginContext } from '../../login/open-login-context.ts';
import type { LoginContext } from '../../login/login-context.ts';
import { withToken } from '../../login/with-token.ts';
import { chooseMethod } from '../../auth-methods/choose-method.ts';
import { METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import { UserCanceled } from '../../terminal/terminal.ts';
import { captureWarnings } from '../capture-warnings.ts';
import type { Invocation } from '../command.ts';
import { createCredential, deleteCredentialAndThrow } from './application-credential.ts';
import type { NewCredential, CredentialSpec } from './application-credential.ts';
import { makeFlagLayer, listAddedOptionValues } from './option-values.ts';
import type { OptionValue } from './option-values.ts';
import type { LoginResult } from './log-in-to-project.ts';

const CREDENTIAL_METHOD = 'v3applicationcredential';

function explainKeyring(error: unknown): unknown {
  if (!(error instanceof CacheError)) return error;
  return new PluginError('unsupported', `${error.message}, so no secret can be saved`, {
    hint:
      'unlock the keyring, or start one (on Linux a Secret Service such as gnome-keyring, in a D-Bus ' +
      'session), or log in without saving a secret',
    cause: error,
  });
}

/**
 * Checks that the keyring works, before the first prompt.
 *
 * @throws PluginError `unsupported`
 */
export async function requireKeyring({ host, reporter }: Pick<Invocation, 'host' | 'reporter'>): Promise<void> {
  await probeKeyring(host, reporter.waitFor).catch((error: unknown) => {
    throw explainKeyring(error);
  });
}

/**
 * Checks that the authentication method has a secret that can be saved.
 *
 * @throws ConfigError
 */
export function requireSavableSecret({ method }: LoginContext): void {
  if (method.savableSecret !== undefined) return;
  const names = METHODS.flatMap(({ savableSecret, name }) => (savableSecret === undefined ? [] : [name]));
  throw new ConfigError(`${method.name} has no secret that can be saved for later logins`, {
    hint: `log in with ${names.join(' or ')}, or use --create-application-credential`,
  });
}

/**
 * Saves the secret of a successful login.
 *
 * @returns the description of the secret
 * @throws PluginError
 */
export async function saveOwnSecret(login: LoginContext, config: ResolvedConfig): Promise<string> {
  const identity = identifySavedSecret(login, config);
  const secret = identity === undefined ? undefined : config.secret(identity.option);
  if (identity === undefined || secret === undefined) throw new CacheError('there is no secret to save');
  await saveSecret(login.host, identity, secret, login.reporter.waitFor).catch((error: unknown) => {
    throw explainKeyring(error);
  });
  return identity.description;
}

/** A new application credential with a saved secret, and a token from a login with it. */
export interface SavedCredential {
  readonly credential: NewCredential;
  /** The description of the secret. */
  readonly description: string;
  readonly record: TokenRecord;
  /** The values to set to use it. */
  readonly optionValues: readonly OptionValue[];
}

/** Options that only decide where Keystone is. */
const LOCATION_OPTIONS: readonly OptionName[] = ['os-cloud', 'keystone-url'];

const findOptionValue = (name: OptionName, value: string): readonly OptionValue[] =>
  OPTIONS.flatMap((option) => (option.name === name ? [{ option, value }] : []));

/** Whether the settings lead to the application credential without `--auth-type`. */
function infersCredential(config: ResolvedConfig, flags: Layer): boolean {
  try {
    return chooseMethod(resolveConfig([flags, ...config.layers], OPTIONS)).method.name === CREDENTIAL_METHOD;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Chooses the values that the user has to set to use the application credential. */
function chooseOptionValues(
  { config, flags }: LoginContext,
  id: string,
  choices: readonly OptionValue[],
): readonly OptionValue[] {
  const location = choices.filter(({ option }) => LOCATION_OPTIONS.includes(option.name));
  const values = [...location, ...findOptionValue('application-credential-id', id)];
  const isInferred = infersCredential(config, new Map([...flags, ...makeFlagLayer(values)]));
  return isInferred ? values : [...values, ...findOptionValue('auth-type', CREDENTIAL_METHOD)];
}

/** Saves the secret and logs in with it. If the login fails, forgets the secret. */
async function saveAndLogIn(
  login: LoginContext,
  credential: NewCredential,
  optionValues: readonly OptionValue[],
): Promise<SavedCredential> {
  // The first login has already printed the same warnings.
  const { reporter } = captureWarnings(login.reporter);
  const next = await openLoginContext({
    ...login,
    reporter,
    flags: new Map([...login.flags, ...makeFlagLayer(optionValues)]),
  });
  const layer = new Map([['application-credential-secret' as const, { value: credential.secret, origin: 'Keystone' }]]);
  const config = resolveConfig([layer, ...next.config.layers], OPTIONS);
  const identity = identifySavedSecret(next, config);
  if (identity === undefined) throw new CacheError('there is no secret to save');
  await saveSecret(next.host, identity, credential.secret, reporter.waitFor);
  try {
    const { record, cacheable, owner } = await requestToken(next, config);
    if (cacheable) await next.cache.store(computeCacheKey(config, next.method, next.tls, next.host), record, [], owner);
    return { credential, description: identity.description, record, optionValues };
  } catch (error) {
    // The first error is the one to report.
    await forgetSavedSecret(next.host, identity, reporter.waitFor).catch(() => undefined);
    throw error;
  }
}

const TERMINATION_SIGNALS: readonly PromptSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Delays signals until the function calls `check`, so that no application credential is left behind. */
async function withDelayedSignals<T>(host: Host, act: (check: () => void) => Promise<T>): Promise<T> {
  let signal: PromptSignal | undefined;
  const removeListeners = TERMINATION_SIGNALS.map((name) => host.onSignal(name, () => (signal ??= name)));
  try {
    return await act(() => {
      if (signal !== undefined) throw new UserCanceled(signal);
    });
  } finally {
    for (const removeListener of removeListeners) removeListener();
  }
}

/** Returns the ID of the user, if the token is for a project. */
function requireProject(tokenDetails: JsonObject | undefined): string {
  const userId = textAt(objectAt(tokenDetails, 'user'), 'id');
  if (userId !== undefined && objectAt(tokenDetails, 'project') !== undefined) return userId;
  throw new ConfigError('an application credential needs a project, but this login has none', {
    hint: 'set OS_PROJECT_NAME (--project-name), or choose a project',
  });
}

/**
 * Creates an application credential and saves its secret. If that fails, deletes the credential again.
 *
 * @param firstChoices the cloud and the authentication method that the user chose
 * @throws PluginError
 */
export async function createAndSaveCredential(
  login: LoginContext,
  { config, received, tokenDetails }: LoginResult,
  credentialSpec: CredentialSpec,
  firstChoices: readonly OptionValue[],
): Promise<SavedCredential> {
  const userId = requireProject(tokenDetails);
  return withToken(login, received.record, (ask) =>
    withDelayedSignals(login.host, async (check) => {
      const credential = await createCredential(ask, userId, credentialSpec);
      try {
        check();
        const choices = [...firstChoices, ...listAddedOptionValues(login.config, config)];
        const saved = await saveAndLogIn(login, credential, chooseOptionValues(login, credential.id, choices));
        check();
        return saved;
      } catch (error) {
        return deleteCredentialAndThrow(ask, userId, credential, explainKeyring(error));
      }
    }),
  );
}
