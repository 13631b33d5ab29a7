import { findCacheFolder, resolveCacheFolder } from '../../cache/cache-folder.ts';
import { listCachedFiles } from '../../cache/inventory.ts';
import type { CachedFile, FileState } from '../../cache/inventory.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Command, OutputData } from '../command.ts';
import { formatDuration, formatTimestamp } from '../format-time.ts';
import { renderTable } from '../table.ts';

/** Only the beginning of the key in a file name is shown. */
const MAX_KEY_LENGTH = 12;

const shorten = (name: string): string => name.replace(/[0-9a-f]{64}/, (key) => `${key.slice(0, MAX_KEY_LENGTH)}…`);

/** The states, as the table shows them. */
export const STATE_DESCRIPTIONS: Readonly<Record<FileState, string>> = {
  fine: 'fine',
  ended: 'ended',
  broken: 'broken: the cache ignores it',
  refused: 'refused: the file does not belong to you',
  foreign: 'from another program',
};

/** Converts a file to JSON. */
export function cachedFileToJson({ name, what, bytes, writtenAt, endsAt, state }: CachedFile): OutputData {
  return {
    name,
    what,
    bytes,
    writtenAt: formatTimestamp(writtenAt),
    endsAt: endsAt === undefined ? null : formatTimestamp(endsAt),
    state,
  };
}

/** Lists the files of the cache. */
export const cacheListCommand: Command = {
  words: ['cache', 'list'],
  summary: 'list the files in the cache folder with their purpose, size, age and state',
  options: [OUTPUT_OPTION],
  getTokenOptions: 'cache',
  examples: [{ line: 'cache list', summary: 'show the files in the folder' }],
  run({ host }): Promise<CommandResult> {
    const path = resolveCacheFolder(host)?.path;
    const folder = findCacheFolder(host);
    const now = host.now();
    const files = folder === undefined ? [] : listCachedFiles(folder, now);
    const rows = files.map(({ name, what, bytes, writtenAt, endsAt, state }) => [
      shorten(name),
      what,
      String(bytes),
      formatDuration(Math.max(1000, now - writtenAt)),
      endsAt === undefined ? '-' : formatDuration(endsAt - now),
      STATE_DESCRIPTIONS[state],
    ]);
    const heading = path === undefined ? 'There is no cache folder.' : `In ${path}:`;
    const table = renderTable(['FILE', 'WHAT', 'BYTES', 'AGE', 'LEFT', 'STATE'], rows);
    return Promise.resolve({
      lines: [heading, ...(rows.length === 0 ? ['The cache is empty.'] : table)],
      data: { folder: path ?? null, files: files.map(cachedFileToJson) },
    });
  },
};
