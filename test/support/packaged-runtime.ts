import { readFileSync } from 'node:fs';
import { documentPath } from '../../scripts/package/release-files.ts';
import { PROGRAM_NAME } from '../../scripts/package/product.ts';
import type { Runtime } from '../../scripts/package/runtimes.ts';
import type { Target } from '../../scripts/package/targets.ts';

/** Returns what the plugin's executable for a target is made with, according to its bill of materials. */
export function readRuntime(target: Target): Runtime {
  const sbom = JSON.parse(readFileSync(documentPath(target, PROGRAM_NAME, 'sbom.cdx.json'), 'utf8')) as {
    components: { type: string; name: string }[];
  };
  const platform = sbom.components.find(({ type }) => type === 'platform')?.name;
  return platform === target.bun.name ? 'bun' : 'node';
}
