/** What a login leaves in the keyring, and at Keystone for it. */
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
import { UserCancelled } from '../../terminal/terminal.ts';
import { createCredential, deleteCredentialAndThrow } from './application-credential.ts';
import type { NewCredential, CredentialSpec } from './application-credential.ts';
import { makeFlagLayer, listAddedOptionValues } from './option-values.ts';
import type { OptionValue } from './option-values.ts';
import type { LoginResult } from './log-in-to-project.ts';

const CREDENTIAL_METHOD = 'v3applicationcredential';

function explainKeyring(error: unknown): unknown {
  if (!(error instanceof CacheError)) return error;
  return new PluginError('unsupported', `${error.message}, so no secret can be kept`, {
    hint: 'unlock it, or start one (on Linux a Secret Service such as gnome-keyring, in a D-Bus session), or log in without keeping anything',
    cause: error,
  });
}

/**
 * Sees that something can be kept before anybody is asked for anything.
 *
 * @throws PluginError saying what to do
 */
export async function requireKeyring(host: Host): Promise<void> {
  await probeKeyring(host).catch((error: unknown) => {
    throw explainKeyring(error);
  });
}

/**
 * Sees that this way to log in has a secret that can be kept.
 *
 * @throws ConfigError
 */
export function requireSavableSecret({ method }: LoginContext): void {
  if (method.savableSecret !== undefined) return;
  const names = METHODS.flatMap(({ savableSecret, name }) => (savableSecret === undefined ? [] : [name]));
  throw new ConfigError(`${method.name} has no secret that could be kept for later logins`, {
    hint: `log in with ${names.join(' or ')}, or use --create-application-credential`,
  });
}

/**
 * Keeps the secret that has just been good for a login.
 *
 * @returns what is kept, in words
 * @throws PluginError
 */
export async function saveOwnSecret(login: LoginContext, config: ResolvedConfig): Promise<string> {
  const identity = identifySavedSecret(login, config);
  const secret = identity === undefined ? undefined : config.secret(identity.option);
  if (identity === undefined || secret === undefined) throw new CacheError('there is no secret to keep');
  await saveSecret(login.host, identity, secret).catch((error: unknown) => {
    throw explainKeyring(error);
  });
  return identity.description;
}

/** An application credential that is kept, and a token that it was good for. */
export interface SavedCredential {
  readonly credential: NewCredential;
  readonly about: string;
  readonly record: TokenRecord;
  /** What to set to use it. */
  readonly optionValues: readonly OptionValue[];
}

/** Settings that say where Keystone is, and no more. */
const PLACE: readonly OptionName[] = ['os-cloud', 'keystone-url'];

const optionNamed = (name: OptionName, value: string): readonly OptionValue[] =>
  OPTIONS.flatMap((option) => (option.name === name ? [{ option, value }] : []));

function infersCredential(given: ResolvedConfig, flags: Layer): boolean {
  try {
    return chooseMethod(resolveConfig([flags, ...given.layers], OPTIONS)).name === CREDENTIAL_METHOD;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

function chooseSettings(
  { config, flags }: LoginContext,
  id: string,
  chosenSoFar: readonly OptionValue[],
): readonly OptionValue[] {
  const place = chosenSoFar.filter(({ option }) => PLACE.includes(option.name));
  const chosen = [...place, ...optionNamed('application-credential-id', id)];
  const inferred = infersCredential(config, new Map([...flags, ...makeFlagLayer(chosen)]));
  return inferred ? chosen : [...chosen, ...optionNamed('auth-type', CREDENTIAL_METHOD)];
}

/** Keeps the secret, and sees that it is good for a login; else nothing is kept. */
async function keepAndTry(
  login: LoginContext,
  credential: NewCredential,
  optionValues: readonly OptionValue[],
): Promise<SavedCredential> {
  // What there is to warn of has been said.
  const reporter = { ...login.reporter, warn: () => undefined };
  const next = await openLoginContext({
    ...login,
    reporter,
    flags: new Map([...login.flags, ...makeFlagLayer(optionValues)]),
  });
  const layer = new Map([['application-credential-secret' as const, { value: credential.secret, origin: 'Keystone' }]]);
  const config = resolveConfig([layer, ...next.config.layers], OPTIONS);
  const identity = identifySavedSecret(next, config);
  if (identity === undefined) throw new CacheError('there is no secret to keep');
  await saveSecret(next.host, identity, credential.secret);
  try {
    const { record, cacheable, owner } = await requestToken(next, config);
    if (cacheable) await next.cache.store(computeCacheKey(config, next.method, next.tls, next.host), record, [], owner);
    return { credential, about: identity.description, record, optionValues };
  } catch (error) {
    // What went wrong first is what the user should hear of.
    await forgetSavedSecret(next.host, identity).catch(() => undefined);
    throw error;
  }
}

const ENDING: readonly PromptSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Lets a signal end the run only where nothing is left behind half done. */
async function untilSafe<T>(host: Host, act: (check: () => void) => Promise<T>): Promise<T> {
  let ended: PromptSignal | undefined;
  const listening = ENDING.map((name) => host.onSignal(name, () => (ended ??= name)));
  try {
    return await act(() => {
      if (ended !== undefined) throw new UserCancelled(ended);
    });
  } finally {
    for (const forget of listening) forget();
  }
}

function requireProject(facts: JsonObject | undefined): string {
  const userId = textAt(objectAt(facts, 'user'), 'id');
  if (userId !== undefined && objectAt(facts, 'project') !== undefined) return userId;
  throw new ConfigError('an application credential is for a project, and this login is for none', {
    hint: 'set OS_PROJECT_NAME (--project-name), or choose a project',
  });
}

/**
 * Makes an application credential and keeps its secret. Where it cannot be kept or is no good, it is deleted again.
 *
 * @param placed what was chosen before anything else
 * @throws PluginError
 */
export async function createAndSaveCredential(
  login: LoginContext,
  { config, received, tokenDetails }: LoginResult,
  wanted: CredentialSpec,
  placed: readonly OptionValue[],
): Promise<SavedCredential> {
  const userId = requireProject(tokenDetails);
  return withToken(login, received.record, (ask) =>
    untilSafe(login.host, async (check) => {
      const credential = await createCredential(ask, userId, wanted);
      try {
        check();
        const chosen = [...placed, ...listAddedOptionValues(login.config, config)];
        const kept = await keepAndTry(login, credential, chooseSettings(login, credential.id, chosen));
        check();
        return kept;
      } catch (error) {
        return deleteCredentialAndThrow(ask, userId, credential, explainKeyring(error));
      }
    }),
  );
}
