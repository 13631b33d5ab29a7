import type { Layer, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { AuthMethod } from './auth-method.ts';
import { METHOD_BY_NAME, METHODS } from './registry.ts';
import { password } from './password.ts';
import { requireSupportedMethod } from './unsupported-methods.ts';

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
}

function inferMethod(layer: Layer): MethodChoice | undefined {
  const method = METHODS.find(({ impliedBy }) => impliedBy.some((name) => layer.has(name)));
  if (method === undefined) return undefined;
  const selector = findOrigin(layer, method.impliedBy) ?? method.name;
  const conflict = findOrigin(layer, method.conflictsWith);
  if (conflict !== undefined) {
    throw new ConfigError(
      `${selector} and ${conflict} select different auth methods`,
      { hint: 'unset one of them, or set OS_AUTH_TYPE (--auth-type) to choose' },
      'config-conflict',
    );
  }
  return { method, because: `inferred from ${selector}` };
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

function findMethod(config: ResolvedConfig): MethodChoice {
  const name = config.text('auth-type');
  if (name !== undefined) {
    const method = METHOD_BY_NAME.get(name);
    if (method !== undefined) return { method, because: `named by ${config.origin('auth-type')}` };
    requireSupportedMethod(name, config.origin('auth-type'));
    throw new ConfigError(
      `${config.origin('auth-type')} asks for "${name}", an auth method that this version does not support`,
      {
        hint: `use one of ${[...METHOD_BY_NAME.keys()].join(', ')}`,
      },
    );
  }
  for (const layer of config.layers) {
    const choice = inferMethod(layer);
    if (choice !== undefined) return choice;
  }
  return { method: password, because: 'the default', isDefault: true };
}

/**
 * Chooses the auth method: the one that is named, or the one that the strongest layer with a credential selects.
 *
 * @throws ConfigError when the name is unknown, when one layer has two credentials, or when the method cannot return
 *   the kind of token that the settings ask for
 */
export function chooseMethod(config: ResolvedConfig): MethodChoice {
  const choice = findMethod(config);
  checkTokenKind(config, choice.method);
  return choice;
}
