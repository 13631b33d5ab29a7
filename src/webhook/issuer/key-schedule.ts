/**
 * When each key signs, and how long it is published. All replicas follow from the same list and their clocks which key
 * signs. A new key is published before it signs, so that every verifier knows it by then, and a key stays published until
 * the last token that it has signed has ended.
 */
import type { SigningAlgorithm } from './signing-algorithms.ts';
import type { KeyTimes } from './signing-key.ts';

/** The longest lifetime that a token can have, in ms. */
export const MAX_TOKEN_LIFETIME_MS = 3_600_000;

/** How far clocks may differ, and how late a replica may see a change, in ms. */
const MARGIN_MS = 300_000;

/** The longest time for which others may cache the published keys, in ms. */
export const MAX_CACHE_MS = 86_400_000;

/** How often a replica reads the key store, in ms. */
export const KEY_CHECK_MS = 30_000;

export interface RotationSettings {
  readonly algorithm: SigningAlgorithm;
  /** How long a key signs, in ms. */
  readonly rotationMs: number;
  /** How long others may cache the published keys, in ms. */
  readonly maxAgeMs: number;
}

type ScheduledKey = KeyTimes & { readonly algorithm: SigningAlgorithm };

/** How long a new key is published before it signs, in ms. */
export const computeLeadMs = ({ maxAgeMs }: Pick<RotationSettings, 'maxAgeMs'>): number =>
  maxAgeMs + MARGIN_MS + KEY_CHECK_MS;

/** Sorts keys by the time from which they sign. */
export const sortKeys = <Key extends KeyTimes>(keys: readonly Key[]): readonly Key[] =>
  keys.toSorted((one, other) => one.signsFrom - other.signsFrom);

/** Finds the key that signs at `now`, ms since 1970, UTC; the first one if this clock is behind all of them. */
export function findSigningKey<Key extends KeyTimes>(keys: readonly Key[], now: number): Key | undefined {
  const sorted = sortKeys(keys);
  return sorted.findLast(({ signsFrom }) => signsFrom <= now) ?? sorted[0];
}

/** Until when each key of a sorted list is published, ms since 1970, UTC; Infinity for the last one. */
export function computePublicationEnd(keys: readonly KeyTimes[], index: number): number {
  const successor = keys[index + 1];
  return successor === undefined ? Infinity : successor.signsFrom + MAX_TOKEN_LIFETIME_MS + MARGIN_MS;
}

/** Lists the keys that are published at `now`, ms since 1970, UTC, in the order in which they sign. */
export function listPublishedKeys<Key extends KeyTimes>(keys: readonly Key[], now: number): readonly Key[] {
  const sorted = sortKeys(keys);
  return sorted.filter((_, index) => computePublicationEnd(sorted, index) > now);
}

/**
 * Leaves out keys that wait longer at `now`, ms since 1970, UTC, than any key has to: a wrong clock has made them. Each is
 * published and signs when its time comes, but until then the other keys follow each other as if it were not there.
 */
function listTimelyKeys<Key extends KeyTimes>(keys: readonly Key[], now: number): readonly Key[] {
  const latest = now + computeLeadMs({ maxAgeMs: MAX_CACHE_MS });
  return sortKeys(keys.filter(({ signsFrom }) => signsFrom <= latest));
}

/** Whether a key waits at `now`, ms since 1970, UTC, for its time to sign. */
export const hasWaitingKey = (keys: readonly KeyTimes[], now: number): boolean =>
  listTimelyKeys(keys, now).some(({ signsFrom }) => signsFrom > now);

/** When the next key must be published, ms since 1970, UTC, as is `now`; Infinity if this clock is behind all keys. */
export function findNextRotation(keys: readonly KeyTimes[], now: number, settings: RotationSettings): number {
  const newest = listTimelyKeys(keys, now).at(-1);
  return newest === undefined ? Infinity : newest.signsFrom + settings.rotationMs - computeLeadMs(settings);
}

/** Whether a new key must be published at `now`, ms since 1970, UTC. */
export function isRotationDue(keys: readonly ScheduledKey[], now: number, settings: RotationSettings): boolean {
  if (hasWaitingKey(keys, now)) return false;
  const newest = listTimelyKeys(keys, now).at(-1);
  if (newest === undefined) return false;
  return newest.algorithm !== settings.algorithm || findNextRotation(keys, now, settings) <= now;
}
