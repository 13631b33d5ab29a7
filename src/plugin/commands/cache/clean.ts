import { join } from 'node:path';
import { findCacheFolders } from '../../cache/fallback-folders.ts';
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
import { cachedFileToJson } from './list.ts';
import { makeCommandOption, OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';

/** How long to wait for the lock of a file, in ms. A login in progress holds the lock longer. */
const MAX_LOCK_WAIT_MS = 1_000;

/** A file that was not removed. */
interface SkippedFile {
  readonly name: string;
  readonly because: string;
  /** Whether a login in progress uses it, which is not an error. */
  readonly isBusy?: true;
}

/** What was removed and what was not. */
interface CleanResult {
  readonly removed: CachedFile[];
  /** Files that should have been removed. */
  readonly skipped: SkippedFile[];
  /** The number of entries removed from the keyring. */
  keyringEntries: number;
}

const isLeftover = ({ state, isRemovable }: CachedFile, all: boolean): boolean =>
  isRemovable && (state === 'ended' || state === 'broken' || (all && state === 'fine'));

function removeIfLeftover(
  folder: CacheFolder,
  name: string,
  { all, now }: { all: boolean; now: number },
): CachedFile | undefined {
  // The previous owner of the lock may have replaced the file since it was listed.
  const file = inspectFile(folder, name, now);
  if (file === undefined || !isLeftover(file, all)) return undefined;
  return removePrivateFile(join(folder.path, name), folder.uid) ? file : undefined;
}

/** Removes a file while holding its lock; undefined if it is in use again or does not exist. */
async function removeFile(
  folder: CacheFolder,
  file: CachedFile,
  options: { all: boolean; now: number },
): Promise<CachedFile | SkippedFile | undefined> {
  const lockOptions = {
    maxWaitMs: MAX_LOCK_WAIT_MS,
    isNoLongerNeeded: () => Promise.resolve(false),
    onLongWait: () => undefined,
  };
  const locks = file.lockKey === undefined ? undefined : await acquireLocks(folder, [file.lockKey], lockOptions);
  try {
    if (locks?.hasAll === false) return { name: file.name, because: 'a login in progress uses it', isBusy: true };
    return removeIfLeftover(folder, file.name, options);
  } finally {
    locks?.release();
  }
}

/** Removes the tokens in the keyring before the files that list them; returns the files of those that remain. */
async function emptyKeyring(
  { host, reporter }: Invocation,
  folder: CacheFolder,
  result: CleanResult,
): Promise<ReadonlySet<string>> {
  const remaining = new Set<string>();
  for (const { key, storage } of listCachedIdentities(folder, host.now())) {
    if (storage !== 'keyring') continue;
    try {
      await openKeyring(host, reporter.waitFor).remove(key);
      result.keyringEntries += 1;
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      const name = metadataFileName(key);
      remaining.add(name);
      result.skipped.push({ name, because: error.message });
    }
  }
  return remaining;
}

async function clean(call: Invocation, folder: CacheFolder, all: boolean, result: CleanResult): Promise<void> {
  const remaining = all ? await emptyKeyring(call, folder, result) : new Set<string>();
  const now = call.host.now();
  for (const file of listCachedFiles(folder, now)) {
    const { name, state } = file;
    if (state === 'refused') result.skipped.push({ name, because: 'the file does not belong to you' });
    if (!isLeftover(file, all) || remaining.has(name)) continue;
    try {
      const outcome = await removeFile(folder, file, { all, now });
      if (outcome === undefined) continue;
      if ('because' in outcome) result.skipped.push(outcome);
      else result.removed.push(outcome);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      result.skipped.push({ name, because: error.message });
    }
  }
}

const countOf = (count: number, noun: string): string => `${String(count)} ${noun}${count === 1 ? '' : 's'}`;

function render({ removed, skipped, keyringEntries }: CleanResult): string[] {
  const bytes = removed.reduce((sum, file) => sum + file.bytes, 0);
  const validTokens = removed.filter(({ what, state }) => what === 'token' && state === 'fine').length + keyringEntries;
  return [
    `${countOf(removed.length, 'file')} removed (${countOf(bytes, 'byte')}).`,
    ...(keyringEntries === 0 ? [] : [`${countOf(keyringEntries, 'token')} removed from the keyring.`]),
    ...(validTokens === 0
      ? []
      : ['No token was revoked: each is valid until it expires. To revoke tokens, use logout.']),
    ...skipped.map(({ name, because }) => `Not removed: ${name}: ${because}.`),
  ];
}

/** Removes files that the cache no longer needs, or all of them. */
export const cacheCleanCommand: Command = {
  words: ['cache', 'clean'],
  task: 'Tidy up',
  summary: 'remove expired and broken files from the cache, or everything with --all, without revoking tokens',
  details: [
    'Only files of this program are removed, never links and never files of other users. Lock files remain, ' +
      'and so do saved secrets and the files that describe them: logout removes those.',
  ],
  options: [
    makeCommandOption({
      name: 'all',
      kind: 'switch',
      help: 'remove valid files too, so that the next run logs in again',
    }),
    OUTPUT_OPTION,
  ],
  getTokenOptions: 'cache',
  examples: [
    { line: 'cache clean', summary: 'remove expired and broken files' },
    { line: 'cache clean --all', summary: 'remove all tokens without revoking them' },
  ],
  async run(call): Promise<CommandResult> {
    const result: CleanResult = { removed: [], skipped: [], keyringEntries: 0 };
    for (const folder of findCacheFolders(call.host)) await clean(call, folder, call.ownConfig.isOn('all'), result);
    const { removed, skipped, keyringEntries } = result;
    return {
      lines: render(result),
      data: {
        removed: removed.map(cachedFileToJson),
        left: skipped.map(({ name, because }) => ({ name, because })),
        keyringEntries,
        revoked: false,
      },
      exitStatus: skipped.every(({ isBusy }) => isBusy) ? EXIT.ok : EXIT.internal,
    };
  },
};
