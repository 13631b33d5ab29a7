/**
 * The names of the files in the cache folder. They belong to the format on disk: other versions read the same files.
 */

const TOKEN = '.token';
const METADATA = '.about';
const ALIAS = '.alias';
const REFUSAL = '.refused';
const SAVED_SECRET = '.kept';

/** The file that records which process received which token. */
export const HANDED_OUT_FILE_NAME = 'handed-out';

/** The file that records which kubectl commands have shown a warning. */
export const WARNED_FILE_NAME = 'warned';

export const tokenFileName = (key: string): string => `${key}${TOKEN}`;
export const metadataFileName = (key: string): string => `${key}${METADATA}`;
/** @param name a fingerprint, or the cache key of incomplete settings */
export const aliasFileName = (name: string): string => `${name}${ALIAS}`;
export const refusalFileName = (key: string): string => `${key}${REFUSAL}`;
export const savedSecretFileName = (key: string): string => `${key}${SAVED_SECRET}`;

/** @param digest SHA-256 of the library, in hex */
export const keyringAddonFileName = (digest: string): string => `keyring-${digest}.node`;

/**
 * One of 256 lock files. They are never removed: if a process waited on a removed file, a second process could lock a
 * new one. Two keys that share a file wait for each other, which happens to one pair in 256 and costs a moment.
 */
export const lockFileName = (key: string): string => `${key.slice(0, 2)}.lock`;

/**
 * The lock file of a terminal.
 *
 * @param job the job that can read from it, as two numbers
 */
export const terminalLockFileName = (job: string): string => `terminal-${job}.lock`;

/** A new file is opened with O_EXCL, so its name only has to differ from those of other runs at the same moment. */
export const makeTemporaryFileName = (name: string): string => `.${name}.${Math.random().toString(36).slice(2)}`;

/** How long a write can take: an older temporary file comes from an interrupted run. In ms. */
export const MAX_WRITE_MS = 60_000;

type KeyedFileKind = 'token' | 'metadata' | 'alias' | 'refusal' | 'saved-secret';
type OtherFileKind = 'handed-out' | 'warned' | 'keyring-addon' | 'lock' | 'terminal-lock' | 'temporary';

/** What a file of the cache folder is for. */
export type CacheFileKind = KeyedFileKind | OtherFileKind;

/** What the name of a file says. */
export type ParsedFileName =
  { readonly kind: KeyedFileKind; readonly key: string } | { readonly kind: OtherFileKind; readonly key?: undefined };

const KEYED_NAME = /^([0-9a-f]{64})(\.[a-z]+)$/;

const KEYED_KINDS: readonly (readonly [suffix: string, kind: KeyedFileKind])[] = [
  [TOKEN, 'token'],
  [METADATA, 'metadata'],
  [ALIAS, 'alias'],
  [REFUSAL, 'refusal'],
  [SAVED_SECRET, 'saved-secret'],
];

const OTHER_KINDS: readonly (readonly [pattern: RegExp, kind: OtherFileKind])[] = [
  [/^handed-out$/, 'handed-out'],
  [/^warned$/, 'warned'],
  [/^keyring-[0-9a-f]{64}\.node$/, 'keyring-addon'],
  [/^[0-9a-f]{2}\.lock(?:-journal)?$/, 'lock'],
  [/^terminal-\d+-\d+\.lock(?:-journal)?$/, 'terminal-lock'],
  [
    /^\.(?:[0-9a-f]{64}\.(?:token|about|alias|refused|kept)|warned|keyring-[0-9a-f]{64}\.node)\.[0-9a-z]{1,13}$/,
    'temporary',
  ],
];

/** Parses a file name; undefined if no version of the plugin writes such a file. */
export function parseFileName(name: string): ParsedFileName | undefined {
  const [, key, suffix] = KEYED_NAME.exec(name) ?? [];
  const keyedKind = KEYED_KINDS.find(([ending]) => ending === suffix)?.[1];
  if (key !== undefined && keyedKind !== undefined) return { kind: keyedKind, key };
  const kind = OTHER_KINDS.find(([pattern]) => pattern.test(name))?.[1];
  return kind === undefined ? undefined : { kind };
}
