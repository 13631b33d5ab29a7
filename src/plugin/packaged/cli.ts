/**
 * Stands in for `cli/cli.ts` in a single executable: the same door, to a bundle that is carried along. And where the
 * keyring's store starts "Node" with the path of its helper, this is that Node; see `cache/keyring-process.ts`.
 */
import type { reportWriteFailure as ReportWriteFailure, runCli as RunCli } from '../cli/cli.ts';
import type { Host } from '../../shared/base/host.ts';
import { loadBundle, resolveBundlePath } from './bundles.ts';

interface Cli {
  readonly runCli: typeof RunCli;
  readonly reportWriteFailure: typeof ReportWriteFailure;
}

const HELPER = 'keyring.cjs';

const loadCli = (): Cli => loadBundle('slow.cjs') as Cli;

export async function runCli(host: Host): Promise<void> {
  // Already loading a bundle makes Node talk where NODE_DEBUG is set.
  host.silenceNode();
  if (host.argv.length === 1 && host.argv[0] === resolveBundlePath(HELPER)) loadBundle(HELPER);
  else await loadCli().runCli(host);
}

export function reportWriteFailure(host: Host, reason: string): void {
  loadCli().reportWriteFailure(host, reason);
}
