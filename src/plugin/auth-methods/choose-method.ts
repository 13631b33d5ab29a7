import type { Layer, OptionName } from '../config/option.ts';
import type { ResolvedConfig } from '../config/resolve-config.ts';
import { ConfigError } from '../../shared/base/errors.ts';
import type { AuthMethod } from './auth-method.ts';
import { METHOD_BY_NAME, METHODS } from './registry.ts';
import { password } from './password.ts';
import { requireSupportedMethod } from './unsupported-methods.ts';

function firstOrigin(layer: Layer, names: readonly OptionName[]): string | undefined {
  return names.map((name) => layer.get(name)?.origin).find((origin) => origin !== undefined);
}

/** A way to log in, and what told that it is meant, as a clause. */
interface MethodChoice {
  readonly method: AuthMethod;
  readonly because: string;
  /** Nothing told it. */
  readonly isDefault?: true;
}

function inferFrom(layer: Layer): MethodChoice | undefined {
  const method = METHODS.find(({ impliedBy }) => impliedBy.some((name) => layer.has(name)));
  if (method === undefined) return undefined;
  const sign = firstOrigin(layer, method.impliedBy) ?? method.name;
  const other = firstOrigin(layer, method.conflictsWith);
  if (other !== undefined) {
    throw new ConfigError(
      `${sign} and ${other} ask for different ways to log in`,
      { hint: 'unset one of them, or set OS_AUTH_TYPE (--auth-type) to choose' },
      'config-conflict',
    );
  }
  return { method, because: `inferred from ${sign}` };
}

/** A wish that a method cannot fulfil is an error: it would end in a Keystone token where another is wanted. */
function checkTokenKind(config: ResolvedConfig, method: AuthMethod): void {
  if (!config.has('token-kind') || method.worksWithoutKeystoneUrl?.(config) === true) return;
  throw new ConfigError(
    `${config.origin('token-kind')} asks for an identity provider's own token, which ${method.name} does not get`,
    {
      hint: `set OS_AUTH_TYPE to a way through a provider, such as v3oidcpassword, or unset ${config.origin('token-kind')}`,
    },
    'config-conflict',
  );
}

/**
 * Chooses the method: the one that is named, else the one that the strongest layer with a credential tells.
 *
 * @throws ConfigError when the name is unknown, one layer holds two credentials, or it cannot get the kind of token wanted
 */
export function chooseMethodWithReason(config: ResolvedConfig): MethodChoice {
  const choice = findMethod(config);
  checkTokenKind(config, choice.method);
  return choice;
}

/** The method alone, see {@link chooseMethodWithReason}. */
export function chooseMethod(config: ResolvedConfig): AuthMethod {
  return chooseMethodWithReason(config).method;
}

function findMethod(config: ResolvedConfig): MethodChoice {
  const name = config.text('auth-type');
  if (name !== undefined) {
    const named = METHOD_BY_NAME.get(name);
    if (named !== undefined) return { method: named, because: `named by ${config.origin('auth-type')}` };
    requireSupportedMethod(name, config.origin('auth-type'));
    throw new ConfigError(`${config.origin('auth-type')} asks for "${name}", a way to log in that this version lacks`, {
      hint: `use one of ${[...METHOD_BY_NAME.keys()].join(', ')}`,
    });
  }
  for (const layer of config.layers) {
    const choice = inferFrom(layer);
    if (choice !== undefined) return choice;
  }
  return { method: password, because: 'as nothing tells another', isDefault: true };
}
