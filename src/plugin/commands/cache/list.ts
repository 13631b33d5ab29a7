import { findCacheFolder, resolveCacheFolder } from '../../cache/cache-folder.ts';
import { listCachedFiles } from '../../cache/inventory.ts';
import type { CachedFile, FileState } from '../../cache/inventory.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Command, OutputData } from '../command.ts';
import { formatDuration, formatTimestamp } from '../format-time.ts';
import { renderTable } from '../table.ts';

/** A key names a file; its beginning is enough for people. */
const SHOWN = 12;

const shorten = (name: string): string => name.replace(/[0-9a-f]{64}/, (key) => `${key.slice(0, SHOWN)}…`);

/** What people are told of a state. */
export const STATE_DESCRIPTIONS: Readonly<Record<FileState, string>> = {
  fine: 'fine',
  ended: 'ended',
  broken: 'broken: no run believes it',
  refused: 'refused: not a file of yours',
  foreign: 'not of this program',
};

/** What programs are told of a file. */
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

/** Says which files the cache has. */
export const cacheListCommand: Command = {
  words: ['cache', 'list'],
  summary: "list the files in the cache's folder: what each is, its size and age, and whether it is fine",
  options: [OUTPUT_OPTION],
  getTokenOptions: 'cache',
  examples: [{ line: 'cache list', summary: 'what is in the folder' }],
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
    const where = path === undefined ? 'There is no folder for a cache.' : `In ${makePrintable(path)}:`;
    const table = renderTable(['FILE', 'WHAT', 'BYTES', 'AGE', 'LEFT', 'STATE'], rows);
    return Promise.resolve({
      text: `${where}\n${rows.length === 0 ? 'Nothing is kept.' : table}`,
      data: { folder: path ?? null, files: files.map(cachedFileToJson) },
    });
  },
};
