import type { ResolvedConfig } from './resolve-config.ts';

const PATIENCE_SECONDS = 180;

/** How long a person has for what is done elsewhere, such as in a browser; in ms. */
export function readLoginTimeoutMs(config: ResolvedConfig): number {
  return Number(config.text('login-timeout') ?? PATIENCE_SECONDS) * 1000;
}
