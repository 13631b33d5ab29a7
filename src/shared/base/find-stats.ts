import { statSync } from 'node:fs';
import type { Stats } from 'node:fs';

/**
 * Finds the size and the mode of a file for a remark about it. Whoever reads the file reports why that fails.
 *
 * @returns undefined if there is no such file, or if the system does not say: the path may be too long, or in a loop of links
 */
export function findStats(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
