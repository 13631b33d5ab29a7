import type { Layer } from '../config/layer.ts';
import type { ResolvedConfig } from '../config/resolve.ts';
import { ConfigError } from '../errors.ts';
import type { AuthMethod } from './method.ts';
import { METHOD_BY_NAME, METHODS } from './registry.ts';
import { password } from './password.ts';
import { refuseMethod } from './refused.ts';

function firstOrigin(layer: Layer, names: readonly string[]): string | undefined {
  return names.map((name) => layer.get(name)?.origin).find((origin) => origin !== undefined);
}

function inferFrom(layer: Layer): AuthMethod | undefined {
  const method = METHODS.find(({ signs }) => signs.some((name) => layer.has(name)));
  if (method === undefined) return undefined;
  const other = firstOrigin(layer, method.conflicts);
  if (other !== undefined) {
    throw new ConfigError(
      `${firstOrigin(layer, method.signs) ?? method.names[0] ?? ''} and ${other} ask for different ways to log in`,
      { hint: 'unset one of them, or set OS_AUTH_TYPE (--auth-type) to choose' },
      'config-conflict',
    );
  }
  return method;
}

/** A wish that a method cannot fulfil is an error: it would end in a Keystone token where another is wanted. */
function checkTokenKind(config: ResolvedConfig, method: AuthMethod): AuthMethod {
  if (!config.has('token-kind') || method.withoutKeystone?.(config) === true) return method;
  throw new ConfigError(
    `${config.origin('token-kind')} asks for an identity provider's own token, which ${method.names[0] ?? ''} does not get`,
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
export function chooseMethod(config: ResolvedConfig): AuthMethod {
  return checkTokenKind(config, findMethod(config));
}

function findMethod(config: ResolvedConfig): AuthMethod {
  const name = config.text('auth-type');
  if (name !== undefined) {
    const named = METHOD_BY_NAME.get(name);
    if (named !== undefined) return named;
    refuseMethod(name, config.origin('auth-type'));
    throw new ConfigError(`${config.origin('auth-type')} asks for "${name}", a way to log in that this version lacks`, {
      hint: `use one of ${[...METHOD_BY_NAME.keys()].join(', ')}`,
    });
  }
  for (const layer of config.layers) {
    const method = inferFrom(layer);
    if (method !== undefined) return method;
  }
  return password;
}
