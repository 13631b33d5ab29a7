/** Records which kubectl commands have shown the warning about the cache: one of them can run the plugin six times. */
import { join } from 'node:path';
import { listAt } from '../../shared/base/json.ts';
import type { CacheFolder } from './cache-folder.ts';
import { parseWithChecksum, serializeWithChecksum } from './checksum.ts';
import { WARNED_FILE_NAME } from './file-names.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

/** More commands do not run at the same time and fail. */
const MAX_COMMANDS = 32;

/** A command that runs longer is warned again, in ms. */
const MEMORY_MS = 3_600_000;

function readCommands({ path, uid }: CacheFolder): readonly string[] {
  const content = parseWithChecksum(readPrivateFile(join(path, WARNED_FILE_NAME), uid));
  return listAt(content, 'commands').filter((command) => typeof command === 'string');
}

/** Whether the user of this command has seen the warning. */
export function isWarned(folder: CacheFolder, command: string): boolean {
  return readCommands(folder).includes(command);
}

/**
 * Records that the user of this command sees the warning.
 *
 * @param command pid and start time of the process
 * @param now ms since 1970, UTC
 * @throws CacheError
 */
export function markWarned(folder: CacheFolder, command: string, now: number): void {
  const commands = [command, ...readCommands(folder)].slice(0, MAX_COMMANDS);
  writePrivateFile(folder.path, WARNED_FILE_NAME, serializeWithChecksum({ commands }), now + MEMORY_MS, {
    mayBeLost: true,
  });
}
