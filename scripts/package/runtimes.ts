/** The runtimes that executables are made with. */
import type { NodeSource, Target } from './targets.ts';

export const RUNTIMES = ['node', 'bun'] as const;

/** A runtime that executables are made with. */
export type Runtime = (typeof RUNTIMES)[number];

/**
 * Returns what the published executable of a target runs on: Bun where all tests of executables have run with it, and Node
 * elsewhere.
 */
export const getDefaultRuntime = ({ bun }: Target): Runtime => (bun.system === 'linux' ? 'bun' : 'node');

/** What an executable for Linux with glibc needs, as Debian writes it. */
export const LINUX_LIBRARIES: Readonly<Record<Runtime, string>> = {
  node: 'libc6 (>= 2.28), libstdc++6 (>= 9)',
  bun: 'libc6 (>= 2.17)',
};

/**
 * Returns where a target's Node comes from.
 *
 * @throws Error when its executable is made with Bun only
 */
export function requireNode({ name, node }: Target): NodeSource {
  if (node === undefined) throw new Error(`--runtime node: npm has no Node for ${name}; use --runtime bun`);
  return node;
}

/** Returns the npm package that contains the runtime of a target. */
export function getRuntimePackage(target: Target, runtime: Runtime): string {
  return runtime === 'bun' ? target.bun.name : requireNode(target).name;
}
