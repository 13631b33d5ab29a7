/** The signing keys of a running issuer: read from the store again and again, and rotated when it is time. */
import type { Clock } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { Log } from '../observability/log.ts';
import {
  computeLeadMs,
  findNextRotation,
  findSigningKey,
  isRotationDue,
  KEY_CHECK_MS,
  listPublishedKeys,
  sortKeys,
} from './key-schedule.ts';
import type { RotationSettings } from './key-schedule.ts';
import type { KeyStore } from './key-store.ts';
import { makeSigningKey } from './signing-key.ts';
import type { SigningKey } from './signing-key.ts';

export interface SigningKeysSettings {
  readonly store: KeyStore;
  readonly rotation: RotationSettings;
  readonly clock: Clock;
  /** ms since 1970, UTC. */
  readonly now: () => number;
  readonly log: Log;
  /** Receives the outcome of each read. */
  readonly onRead: (result: 'ok' | 'failed') => void;
  /** Called for each key that this replica has made. */
  readonly onRotated: () => void;
}

export interface SigningKeys {
  /** The key that signs now. */
  readonly current: () => SigningKey;
  /** The public keys, those that do not sign yet and those that no longer do included. */
  readonly listPublic: () => readonly JsonObject[];
  /** When the next key must be published, in ms since 1970, UTC. */
  readonly nextRotation: () => number;
  /** How long ago the store was last read, in ms. */
  readonly readAge: () => number;
  /** Whether the store was read so long ago that other replicas could sign with a key that this one does not know. */
  readonly isOutdated: () => boolean;
  /** Reads the store, and makes a key if one is due: now, or after a check that runs. */
  readonly check: () => Promise<void>;
  readonly close: () => void;
}

/**
 * Adds a key that signs as soon as every verifier can know it, and leaves out the keys that are no longer published.
 *
 * @param now ms since 1970, UTC
 */
export async function addKey(
  keys: readonly SigningKey[],
  now: number,
  rotation: RotationSettings,
): Promise<readonly SigningKey[]> {
  const key = await makeSigningKey(rotation.algorithm, { createdAt: now, signsFrom: now + computeLeadMs(rotation) });
  return [...listPublishedKeys(keys, now), key];
}

const describeFailure = (error: unknown): string => (error instanceof PluginError ? error.message : 'internal error');

/**
 * Reads the keys and starts to watch them.
 *
 * @throws PluginError if the store is missing, cannot be read, or is invalid
 */
export async function openSigningKeys(settings: SigningKeysSettings): Promise<SigningKeys> {
  const { store, rotation, clock, now, log, onRead, onRotated } = settings;
  let keys = sortKeys(await store.read());
  let readAt = clock.monotonicMs();
  let cancelTimer = (): void => undefined;
  let isClosed = false;
  let hasFailed = false;
  let lastCheck = Promise.resolve();
  /** A check that has not begun. */
  let waitingCheck: Promise<void> | undefined;

  function accept(next: readonly SigningKey[]): void {
    const known = new Set(keys.map(({ kid }) => kid));
    const withdrawn = listPublishedKeys(keys, now()).filter(({ kid }) => next.every((key) => key.kid !== kid));
    keys = sortKeys(next);
    readAt = clock.monotonicMs();
    for (const { kid, signsFrom } of keys) {
      if (!known.has(kid))
        log.info({ kid, signsFrom: new Date(signsFrom).toISOString() }, 'a new signing key is published');
    }
    for (const { kid } of withdrawn) {
      log.warn({ kid, store: store.place }, 'a signing key was withdrawn before its time: its tokens will be refused');
    }
    if (hasFailed) log.info({ store: store.place }, 'the signing keys can be read again');
    hasFailed = false;
    onRead('ok');
  }

  async function rotateIfDue(): Promise<void> {
    if (!isRotationDue(keys, now(), rotation)) return;
    let madeKid: string | undefined;
    const next = await store.update(async (stored) => {
      madeKid = undefined;
      // Another replica may have been faster.
      if (!isRotationDue(stored, now(), rotation)) return undefined;
      const changed = await addKey(stored, now(), rotation);
      madeKid = changed.at(-1)?.kid;
      return changed;
    });
    accept(next);
    if (madeKid === undefined) return;
    onRotated();
    log.info({ kid: madeKid, store: store.place }, 'a signing key was made');
  }

  function reportFailure(error: unknown): void {
    hasFailed = true;
    onRead('failed');
    log.error(
      { store: store.place, reason: describeFailure(error) },
      'the signing keys cannot be read or rotated; the last known ones stay in use',
    );
  }

  async function readAndRotate(): Promise<void> {
    try {
      accept(await store.read());
      await rotateIfDue();
    } catch (error) {
      reportFailure(error);
    }
  }

  /** One check at a time: what an earlier one has read must not replace what a later one has. */
  function check(): Promise<void> {
    cancelTimer();
    if (waitingCheck !== undefined) return waitingCheck;
    const next = lastCheck.then(async () => {
      waitingCheck = undefined;
      await readAndRotate();
      if (lastCheck === next) checkLater();
    });
    waitingCheck = next;
    lastCheck = next;
    return next;
  }

  function checkLater(): void {
    if (isClosed) return;
    cancelTimer = clock.startTimer(KEY_CHECK_MS, () => void check());
  }

  const findCurrent = (): SigningKey => {
    const key = findSigningKey(keys, now());
    if (key === undefined) throw new Error('there is no signing key');
    return key;
  };
  onRead('ok');
  // Keys that can be read are good enough to serve.
  await rotateIfDue().catch(reportFailure);
  checkLater();
  const readAge = (): number => clock.monotonicMs() - readAt;
  return {
    current: findCurrent,
    listPublic: () => listPublishedKeys(keys, now()).map(({ publicJwk }) => publicJwk),
    nextRotation: () => findNextRotation(keys, now(), rotation),
    readAge,
    isOutdated: () => readAge() > computeLeadMs(rotation),
    check,
    close: () => {
      isClosed = true;
      cancelTimer();
    },
  };
}
