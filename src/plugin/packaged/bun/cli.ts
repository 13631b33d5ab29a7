/**
 * Replaces `cli/cli.ts` in an executable of Bun. The build turns the imports into those of other bundles in the
 * executable, and Bun runs a bundle when it is first imported, so a cache hit runs none. The executable also replaces
 * Node when `cache/keyring.ts` starts Node with the path of the keyring helper.
 */
import { join } from 'node:path';
import type { Host } from '../../../shared/base/host.ts';

/** A path that cannot exist, because the executable is not a folder. */
const isKeyringHelper = ({ argv, execPath }: Host): boolean =>
  argv.length === 1 && argv[0] === join(execPath, 'keyring.cjs');

export async function runCli(host: Host): Promise<void> {
  host.silenceNode();
  if (isKeyringHelper(host)) {
    await import('../../cache/keyring-process.ts');
    return;
  }
  const cli = await import('../../cli/cli.ts');
  await cli.runCli(host);
}

export async function reportWriteFailure(host: Host, reason: string): Promise<void> {
  const cli = await import('../../cli/cli.ts');
  cli.reportWriteFailure(host, reason);
}
