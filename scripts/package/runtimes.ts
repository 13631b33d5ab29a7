/** The runtimes that executables are made with. */
import type { BunSource, Target } from './targets.ts';

export const RUNTIMES = ['node', 'bun'] as const;

/** A runtime that executables are made with. */
export type Runtime = (typeof RUNTIMES)[number];

/**
 * Returns where a target's Bun comes from.
 *
 * @throws Error when its executable is made with Node only
 */
export function requireBun({ name, bun }: Target): BunSource {
  if (bun === undefined) throw new Error(`--runtime bun: there is no executable of Bun for ${name} yet`);
  return bun;
}

/** Returns the npm package that contains the runtime of a target. */
export function getRuntimePackage(target: Target, runtime: Runtime): string {
  return runtime === 'bun' ? requireBun(target).name : target.nodePackage;
}
