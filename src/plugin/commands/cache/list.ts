import { resolveCacheFolder } from '../../cache/cache-folder.ts';
import { findCacheFolders } from '../../cache/fallback-folders.ts';
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

function renderFiles(files: readonly CachedFile[], now: number): string[] {
  if (files.length === 0) return ['The cache is empty.'];
  const rows = files.map(({ name, what, bytes, writtenAt, endsAt, state }) => [
    shorten(name),
    what,
    String(bytes),
    formatDuration(Math.max(1000, now - writtenAt)),
    endsAt === undefined ? '-' : formatDuration(endsAt - now),
    STATE_DESCRIPTIONS[state],
  ]);
  return renderTable(['FILE', 'WHAT', 'BYTES', 'AGE', 'LEFT', 'STATE'], rows);
}

/** Lists the files of the cache. */
export const cacheListCommand: Command = {
  words: ['cache', 'list'],
  task: 'Tidy up',
  summary: 'list the files in the cache folder with their purpose, size, age and state',
  details: ['A folder that took the place of the cache folder is listed after it.'],
  options: [OUTPUT_OPTION],
  getTokenOptions: 'cache',
  examples: [{ line: 'cache list', summary: 'show the files in the folder' }],
  run({ host }): Promise<CommandResult> {
    const path = resolveCacheFolder(host)?.path;
    const now = host.now();
    const folders = findCacheFolders(host).map((folder) => ({
      path: folder.path,
      files: listCachedFiles(folder, now),
    }));
    const files = folders.find((folder) => folder.path === path)?.files ?? [];
    const others = folders.filter((folder) => folder.path !== path);
    return Promise.resolve({
      lines: [
        path === undefined ? 'There is no cache folder.' : `In ${path}:`,
        ...(path === undefined && others.length > 0 ? [] : renderFiles(files, now)),
        ...others.flatMap((other) => [`In ${other.path}, which took its place:`, ...renderFiles(other.files, now)]),
      ],
      data: {
        folder: path ?? null,
        files: files.map(cachedFileToJson),
        substitutes: others.map((other) => ({ folder: other.path, files: other.files.map(cachedFileToJson) })),
      },
    });
  },
};
