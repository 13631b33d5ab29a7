import { join } from 'node:path';
import { findCacheFolder } from '../../cache/cache-folder.ts';
import type { CacheFolder } from '../../cache/cache-folder.ts';
import { listCachedIdentities } from '../../cache/cached-identities.ts';
import { metadataFileName } from '../../cache/file-names.ts';
import { inspectFile, listCachedFiles } from '../../cache/inventory.ts';
import type { CachedFile } from '../../cache/inventory.ts';
import { openKeyring } from '../../cache/keyring.ts';
import { acquireLocks } from '../../cache/login-lock.ts';
import { removePrivateFile } from '../../cache/private-file.ts';
import { EXIT } from '../../cli/exit-status.ts';
import { CacheError } from '../../../shared/base/errors.ts';
import { makePrintable } from '../../../shared/base/printable.ts';
import { cachedFileToJson } from './list.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';

/** A file that somebody just logs in for is no leftover. */
const LOCK_MS = 1_000;

/** A file that is still there. */
interface SkippedFile {
  readonly name: string;
  readonly because: string;
  /** Whether that is nothing to worry about. */
  readonly isBusy?: true;
}

/** What was done. */
interface CleanResult {
  readonly removed: CachedFile[];
  /** What should have gone and did not, and why. */
  readonly left: SkippedFile[];
  /** Entries of the keyring that are gone. */
  entries: number;
}

const isLeftover = ({ state, isRemovable }: CachedFile, all: boolean): boolean =>
  isRemovable && (state === 'ended' || state === 'broken' || (all && state === 'fine'));

function removeOne(
  folder: CacheFolder,
  name: string,
  { all, now }: { all: boolean; now: number },
): CachedFile | undefined {
  // Looked at again: whoever had the lock before may have put another there.
  const file = inspectFile(folder, name, now);
  if (file === undefined || !isLeftover(file, all)) return undefined;
  return removePrivateFile(join(folder.path, name), folder.uid) ? file : undefined;
}

/** Removes a file; undefined where it is of use again, or gone. */
async function removeFile(
  folder: CacheFolder,
  file: CachedFile,
  how: { all: boolean; now: number },
): Promise<CachedFile | SkippedFile | undefined> {
  const waiting = { maxWaitMs: LOCK_MS, isNoLongerNeeded: () => Promise.resolve(false), onLongWait: () => undefined };
  const locks = file.lockKey === undefined ? undefined : await acquireLocks(folder, [file.lockKey], waiting);
  try {
    if (locks?.hasAll === false) return { name: file.name, because: 'somebody is logging in for it', isBusy: true };
    return removeOne(folder, file.name, how);
  } finally {
    locks?.release();
  }
}

/** Entries that no file would tell of any more. */
async function emptyKeyring(
  { host }: Invocation,
  folder: CacheFolder,
  cleaned: CleanResult,
): Promise<ReadonlySet<string>> {
  const stuck = new Set<string>();
  for (const { key, storage } of listCachedIdentities(folder, host.now())) {
    if (storage !== 'keyring') continue;
    try {
      await openKeyring(host).remove(key);
      cleaned.entries += 1;
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      const name = metadataFileName(key);
      stuck.add(name);
      cleaned.left.push({ name, because: error.message });
    }
  }
  return stuck;
}

async function clean(call: Invocation, folder: CacheFolder, all: boolean): Promise<CleanResult> {
  const cleaned: CleanResult = { removed: [], left: [], entries: 0 };
  const stuck = all ? await emptyKeyring(call, folder, cleaned) : new Set<string>();
  const now = call.host.now();
  for (const file of listCachedFiles(folder, now)) {
    const { name, state } = file;
    if (state === 'refused') cleaned.left.push({ name, because: 'it is not a file of yours' });
    if (!isLeftover(file, all) || stuck.has(name)) continue;
    try {
      const done = await removeFile(folder, file, { all, now });
      if (done === undefined) continue;
      if ('because' in done) cleaned.left.push(done);
      else cleaned.removed.push(done);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      cleaned.left.push({ name, because: error.message });
    }
  }
  return cleaned;
}

const count = (many: number, what: string): string => `${String(many)} ${what}${many === 1 ? '' : 's'}`;

function render({ removed, left, entries }: CleanResult): string {
  const bytes = removed.reduce((sum, file) => sum + file.bytes, 0);
  const living = removed.filter(({ what, state }) => what === 'token' && state === 'fine').length + entries;
  return [
    `${count(removed.length, 'file')} removed (${count(bytes, 'byte')}).`,
    ...(entries === 0 ? [] : [`${count(entries, 'token')} forgotten by the keyring.`]),
    ...(living === 0 ? [] : ['No token was revoked: each is good until it ends. To revoke them, use logout.']),
    ...left.map(({ name, because }) => makePrintable(`Left alone: ${name}: ${because}.`)),
  ].join('\n');
}

/** Removes what the cache has no more use for, or all of it. */
export const cacheCleanCommand: Command = {
  words: ['cache', 'clean'],
  summary: 'remove what has ended or is broken from the cache; with --all everything, without revoking anything',
  details: [
    "Only files of this program are touched, and of these no link and no other user's. Locks stay, and so do secrets that are kept for later logins, with their notes: logout forgets those.",
  ],
  options: [
    {
      name: 'all',
      group: 'Command',
      kind: 'switch',
      file: 'nowhere',
      help: 'what is fine, too: the next run logs in again',
    },
    OUTPUT_OPTION,
  ],
  getTokenOptions: 'cache',
  examples: [
    { line: 'cache clean', summary: 'remove what is of no use' },
    { line: 'cache clean --all', summary: 'remove all tokens, and revoke none' },
  ],
  async run(call): Promise<CommandResult> {
    const folder = findCacheFolder(call.host);
    const nothing: CleanResult = { removed: [], left: [], entries: 0 };
    const cleaned = folder === undefined ? nothing : await clean(call, folder, call.ownConfig.isOn('all'));
    const { removed, left, entries } = cleaned;
    return {
      text: render(cleaned),
      data: {
        removed: removed.map(cachedFileToJson),
        left: left.map(({ name, because }) => ({ name, because })),
        keyringEntries: entries,
        revoked: false,
      },
      exitStatus: left.every(({ isBusy }) => isBusy) ? EXIT.ok : EXIT.internal,
    };
  },
};
