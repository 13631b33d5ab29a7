/** Tests that need a program which this machine may not have. They are skipped by name, but CI must run them. */
import { execFileSync } from 'node:child_process';
import { findKubectl, findOldestKubectl } from '../../scripts/lib/find-kubectl.ts';
import type { Kubectl, KubectlAge } from '../../scripts/lib/find-kubectl.ts';
import { isCi } from './resources.ts';

/**
 * Returns the reason for skipping a test.
 *
 * @throws Error in CI, where nothing may be missing
 */
export function skipBecause(missing: string): string {
  if (isCi()) throw new Error(`CI must run every test, but ${missing}`);
  return missing;
}

/**
 * Returns why a test that needs a tool is skipped, or false.
 *
 * @throws Error in CI, which must have the tool
 */
export function skipWithout(what: string, isInstalled: () => boolean): string | false {
  return isInstalled() ? false : skipBecause(`${what} is not available`);
}

/**
 * Finds a kubectl for a test.
 *
 * @throws Error in CI, which must have both
 */
export async function requireKubectl(age: KubectlAge): Promise<Kubectl> {
  const kubectl = await findKubectl(age);
  return 'missing' in kubectl ? { missing: skipBecause(kubectl.missing) } : kubectl;
}

/**
 * Finds kubectl 1.20 for a test.
 *
 * @throws Error in CI, which must have it
 */
export async function requireOldestKubectl(): Promise<Kubectl> {
  const kubectl = await findOldestKubectl();
  return 'missing' in kubectl ? { missing: skipBecause(kubectl.missing) } : kubectl;
}

/** Whether a program runs successfully with these arguments. */
export function canRun(file: string, ...args: string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
