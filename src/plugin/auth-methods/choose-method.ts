import type { Layer, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import { findSimilarName } from '../../shared/base/similar-name.ts';
import type { AuthMethod } from './auth-method.ts';
import { multifactor } from './multifactor.ts';
import { METHOD_BY_NAME, METHODS, OPTIONS } from './registry.ts';
import { password } from './password.ts';
import { rejectServiceProvider, requireSupportedMethod } from './unsupported-methods.ts';

function findOrigin(layer: Layer, names: readonly OptionName[]): string | undefined {
  return names.map((name) => layer.get(name)?.origin).find((origin) => origin !== undefined);
}

/** An auth method and the reason for it. */
export interface MethodChoice {
  readonly method: AuthMethod;
  /** As a clause. */
  readonly because: string;
  /** No setting selects a method. */
  readonly isDefault?: true;
  /** What the user should know about settings of other methods. */
  readonly warnings: readonly string[];
}

/** A method that settings imply. */
interface Candidate {
  readonly method: AuthMethod;
  /** The setting that implies it. */
  readonly selector: string;
  readonly isFromFlag: boolean;
  readonly missing: readonly OptionName[];
}

const SECRET_NAMES: ReadonlySet<OptionName> = new Set(OPTIONS.flatMap(({ name, secret }) => (secret ? [name] : [])));

/** @returns the method's own first option if its settings make no sense together */
function listMissing(method: AuthMethod, config: ResolvedConfig): readonly OptionName[] {
  try {
    return method.listMissing(config);
  } catch (error) {
    if (error instanceof ConfigError) return method.impliedBy.slice(0, 1);
    throw error;
  }
}

/** Lists the methods that settings imply, those of the strongest layer first. */
function listCandidates(config: ResolvedConfig): Candidate[] {
  const found = new Map<AuthMethod, Candidate>();
  for (const layer of config.layers) {
    for (const method of METHODS) {
      const selector = findOrigin(layer, method.impliedBy);
      if (selector === undefined || found.has(method)) continue;
      const isFromFlag = selector.startsWith('--');
      const conflict = isFromFlag ? findOrigin(layer, method.conflictsWith) : undefined;
      if (conflict !== undefined) {
        throw new ConfigError(
          `${selector} and ${conflict} select different auth methods`,
          { hint: 'unset one of them, or set OS_AUTH_TYPE (--auth-type) to choose' },
          'config-conflict',
        );
      }
      found.set(method, { method, selector, isFromFlag, missing: listMissing(method, config) });
    }
  }
  return [...found.values()];
}

/** Whether a user is set, so that a password is the only thing that a login with one can lack. */
const hasUser = (config: ResolvedConfig): boolean => config.has('user-id') || config.has('user-name');

/**
 * Chooses among the methods that settings imply. Where nobody names a method, `openstack` logs in with a password; so
 * does this if the password login is complete. Flags are not left over from another login: their method is meant.
 */
function pickCandidate(candidates: readonly Candidate[], config: ResolvedConfig): Candidate | undefined {
  const complete = candidates.filter(({ missing }) => missing.length === 0);
  const missingForPassword = listMissing(password, config);
  const isNoReason = (name: OptionName): boolean => SECRET_NAMES.has(name) || missingForPassword.includes(name);
  return (
    candidates.find(({ isFromFlag }) => isFromFlag) ??
    complete.find(({ method }) => method === multifactor) ??
    complete.find(({ method }) => method === password) ??
    complete[0] ??
    // A login that lacks more than a secret must not win against one that only lacks the password. What both lack, such
    // as the domain of the user, decides nothing.
    candidates.find(({ missing }) => !hasUser(config) || missing.every(isNoReason))
  );
}

/** Says which settings of other methods are not used, because another person might log in than the user expects. */
function listUnused(candidates: readonly Candidate[], method: AuthMethod, because: string): string[] {
  const used = new Set(method.options.map(({ name }) => name));
  return candidates.flatMap(({ method: other, selector }) =>
    other === method || other.impliedBy.every((name) => used.has(name))
      ? []
      : [`${selector} is not used, because of ${because}; to use it, set OS_AUTH_TYPE=${other.name}`],
  );
}

function inferMethod(config: ResolvedConfig): MethodChoice {
  const candidates = listCandidates(config);
  const picked = pickCandidate(candidates, config);
  if (picked === undefined) {
    const warnings = listUnused(candidates, password, 'the default, a login with a password');
    return { method: password, because: 'the default', isDefault: true, warnings };
  }
  const { method, selector } = picked;
  return { method, because: `inferred from ${selector}`, warnings: listUnused(candidates, method, selector) };
}

/** @throws ConfigError when the settings ask for a provider's token and the method returns only Keystone tokens */
function checkTokenKind(config: ResolvedConfig, method: AuthMethod): void {
  if (!config.has('token-kind') || method.canGiveProviderToken === true) return;
  throw new ConfigError(
    `${config.origin('token-kind')} asks for a token of the identity provider, which ${method.name} does not return`,
    {
      hint:
        'set OS_AUTH_TYPE to a method with a provider, ' +
        `such as v3oidcpassword, or unset ${config.origin('token-kind')}`,
    },
    'config-conflict',
  );
}

const withoutVersion = (name: string): string => name.replace(/^v\d/i, '');

/** Suggests the method that a wrong name probably stands for; people leave out the version, as in `totp`. */
function suggestMethod(name: string): string {
  const names = [...METHOD_BY_NAME.keys()];
  const shortName = findSimilarName(withoutVersion(name), names.map(withoutVersion));
  const meant = findSimilarName(name, names) ?? names.find((known) => withoutVersion(known) === shortName);
  return meant === undefined ? `use one of ${names.join(', ')}` : `did you mean "${meant}"?`;
}

function findMethod(config: ResolvedConfig): MethodChoice {
  const name = config.text('auth-type');
  if (name === undefined) return inferMethod(config);
  const method = METHOD_BY_NAME.get(name);
  if (method !== undefined) return { method, because: `named by ${config.origin('auth-type')}`, warnings: [] };
  requireSupportedMethod(name, config.origin('auth-type'));
  throw new ConfigError(
    `${config.origin('auth-type')} asks for "${name}", an auth method that this version does not support`,
    { hint: suggestMethod(name) },
  );
}

/**
 * Chooses the auth method: the one that is named, or the one that the settings imply.
 *
 * @throws ConfigError when the name is unknown, when flags have two credentials, or when the method cannot return the
 *   kind of token that the settings ask for
 */
export function chooseMethod(config: ResolvedConfig): MethodChoice {
  const choice = findMethod(config);
  rejectServiceProvider(config);
  checkTokenKind(config, choice.method);
  return choice;
}
