/**
 * Replaces `cli/cli.ts` in a single executable: the same functions, from a bundle in the executable. The executable
 * also replaces Node when `cache/keyring.ts` starts Node with the path of the keyring helper.
 */
import type { reportWriteFailure as ReportWriteFailure, runCli as RunCli } from '../../cli/cli.ts';
import type { Host } from '../../../shared/base/host.ts';
import { loadBundle, resolveBundlePath } from './bundles.ts';

interface Cli {
  readonly runCli: typeof RunCli;
  readonly reportWriteFailure: typeof ReportWriteFailure;
}

const KEYRING_HELPER = 'keyring.cjs';

const loadCli = (): Cli => loadBundle('slow.cjs') as Cli;

export async function runCli(host: Host): Promise<void> {
  // If NODE_DEBUG is set, Node prints to stderr even while it loads a bundle.
  host.silenceNode();
  if (host.argv.length === 1 && host.argv[0] === resolveBundlePath(KEYRING_HELPER)) loadBundle(KEYRING_HELPER);
  else await loadCli().runCli(host);
}

export function reportWriteFailure(host: Host, reason: string): void {
  loadCli().reportWriteFailure(host, reason);
}
