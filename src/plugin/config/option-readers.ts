/** Reads options that several parts of the plugin need. */
import type { PairName } from './option.ts';
import type { ResolvedConfig } from './resolve-config.ts';
import type { Reference } from '../../shared/keystone/scope.ts';

const DEFAULT_LOGIN_TIMEOUT_SECONDS = 180;

/** Reads how long a user has to finish a login in a browser, in ms. */
export function readLoginTimeoutMs(config: ResolvedConfig): number {
  return Number(config.text('login-timeout') ?? DEFAULT_LOGIN_TIMEOUT_SECONDS) * 1000;
}

/** Reads a pair of options for an ID and a name; the ID takes precedence because it is unique. */
export function readReference(config: ResolvedConfig, pair: PairName): Reference | undefined {
  const id = config.text(`${pair}-id`);
  if (id !== undefined) return { id };
  const name = config.text(`${pair}-name`);
  return name === undefined ? undefined : { name };
}
