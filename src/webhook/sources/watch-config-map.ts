/**
 * Watches one ConfigMap: lists it, then watches for changes, and starts again when the watch ends or fails. The API
 * server ends each watch after a short time. A watch that goes on after that has lost its connection.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { sendInTime } from './request-deadline.ts';

/** A `v1.ConfigMap`, as far as a watch needs it. */
export interface ConfigMap {
  readonly metadata?: { readonly name?: string | undefined; readonly resourceVersion?: string | undefined } | undefined;
  readonly data?: Readonly<Record<string, string>> | undefined;
}

/** The content of a ConfigMap; undefined if it does not exist. */
export type ConfigMapData = ReadonlyMap<string, string> | undefined;

export interface WatchRequest {
  /** The version from which the watch continues. */
  readonly resourceVersion: string | undefined;
  /** After this time the API server ends the watch. */
  readonly timeoutSeconds: number;
  readonly onEvent: (type: string, map: ConfigMap) => void;
  /** Takes the error if the watch fails. */
  readonly onEnd: (error: unknown) => void;
}

/** The requests that a watch sends. */
export interface ConfigMapApi {
  /** Finds the ConfigMap, and the version from which a watch continues. */
  readonly find: (
    signal: AbortSignal,
  ) => Promise<{ readonly map: ConfigMap | undefined; readonly resourceVersion: string | undefined }>;
  /** Resolves to a function that aborts the watch. */
  readonly watch: (request: WatchRequest) => Promise<() => void>;
}

export interface ConfigMapListener {
  /** Takes the content at first and after each change. */
  readonly onData: (data: ConfigMapData) => void;
  /** Called whenever the API server confirms that the last content is the current one. */
  readonly onConfirmed: () => void;
  /**
   * Takes the error that makes the ConfigMap unreadable for now, and returns whether its content no longer applies; the
   * content is then reported again as soon as it can be read.
   */
  readonly onError: (error: unknown) => boolean;
  /** Takes the error that ended a watch; undefined if its connection has died. */
  readonly onWatchFailure: (error: unknown) => void;
}

const MIN_WAIT_MS = 500;
const MAX_WAIT_MS = 10_000;

const WATCH_SECONDS = 20;

/** How much later than it should a watch ends if its connection is alive, in ms at most. */
const WATCH_MARGIN_MS = 8_000;

/** Starts to watch a ConfigMap; the returned function ends that. */
export function watchConfigMap(api: ConfigMapApi, listener: ConfigMapListener, clock: Clock): () => void {
  const { onData, onConfirmed, onError, onWatchFailure } = listener;
  let lastVersion: string | undefined;
  let isClosed = false;
  let endWatch = (): void => undefined;
  let cancelTimer = (): void => undefined;
  let waitMs = MIN_WAIT_MS;

  function notify(map: ConfigMap | undefined): void {
    // Each new list and watch reports the same version again.
    const version = map?.metadata?.resourceVersion ?? 'absent';
    if (isClosed) return;
    if (version !== lastVersion) {
      lastVersion = version;
      onData(map === undefined ? undefined : new Map(Object.entries(map.data ?? {})));
    }
    onConfirmed();
  }

  function handleEvent(type: string, changed: ConfigMap): void {
    if (type === 'ADDED' || type === 'MODIFIED') notify(changed);
    if (type === 'DELETED') notify(undefined);
    if (type === 'BOOKMARK' && !isClosed) onConfirmed();
  }

  /** Resolves when the watch ends, to whether it has failed. */
  function watch(resourceVersion: string | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      let hasEnded = false;
      const end = (hasFailed: boolean, report: () => void): void => {
        if (hasEnded || isClosed) return;
        hasEnded = true;
        cancelTimer();
        report();
        resolve(hasFailed);
      };
      const fail = (error: unknown): void => {
        end(true, () => {
          onWatchFailure(error);
        });
      };
      const onEnd = (error: unknown): void => {
        if (error === undefined || error === null) end(false, onConfirmed);
        else fail(error);
      };
      const onEvent = (type: string, object: ConfigMap): void => {
        if (type === 'ERROR') {
          // The object is a Status, with a code. The watch has begun well, so it has no status of its own.
          fail(object);
          endWatch();
        } else if (!hasEnded) handleEvent(type, object);
      };
      cancelTimer = clock.startTimer(WATCH_SECONDS * 1_000 + WATCH_MARGIN_MS, () => {
        fail(undefined);
        endWatch();
      });
      endWatch = () => undefined;
      api.watch({ resourceVersion, timeoutSeconds: WATCH_SECONDS, onEvent, onEnd }).then((abort) => {
        if (hasEnded || isClosed) abort();
        else endWatch = abort;
      }, fail);
    });
  }

  async function listAndWatch(): Promise<void> {
    try {
      const { map, resourceVersion } = await sendInTime(clock, api.find);
      notify(map);
      if (isClosed) return;
      const hasFailed = await watch(resourceVersion);
      waitMs = hasFailed ? Math.min(MAX_WAIT_MS, waitMs * 2) : MIN_WAIT_MS;
    } catch (error) {
      if (isClosed) return;
      if (onError(error)) lastVersion = undefined;
      waitMs = Math.min(MAX_WAIT_MS, waitMs * 2);
    }
    cancelTimer = clock.startTimer(waitMs, () => void listAndWatch());
  }

  void listAndWatch();
  return () => {
    isClosed = true;
    cancelTimer();
    endWatch();
  };
}
