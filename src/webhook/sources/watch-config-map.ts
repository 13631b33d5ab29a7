/** Watches one ConfigMap: lists it, then watches for changes, and starts again when the watch ends or fails. */
import type { Clock } from '../../shared/base/clock.ts';

/** A `v1.ConfigMap`, as far as a watch needs it. */
export interface ConfigMap {
  readonly metadata?: { readonly name?: string | undefined; readonly resourceVersion?: string | undefined } | undefined;
  readonly data?: Readonly<Record<string, string>> | undefined;
}

/** The content of a ConfigMap; undefined if it does not exist. */
export type ConfigMapData = ReadonlyMap<string, string> | undefined;

/** The requests that a watch sends. */
export interface ConfigMapApi {
  /** Finds the ConfigMap, and the version from which a watch continues. */
  readonly find: () => Promise<{ readonly map: ConfigMap | undefined; readonly resourceVersion: string | undefined }>;
  /** Resolves to a function that aborts the watch. */
  readonly watch: (
    resourceVersion: string | undefined,
    onEvent: (type: string, map: ConfigMap) => void,
    onEnd: () => void,
  ) => Promise<() => void>;
}

export interface ConfigMapListener {
  /** Takes the content at first and after each change. */
  readonly onData: (data: ConfigMapData) => void;
  /**
   * Takes the error that makes the ConfigMap unreadable for now, and returns whether its content no longer applies; the
   * content is then reported again as soon as it can be read.
   */
  readonly onError: (error: unknown) => boolean;
}

const MIN_WAIT_MS = 500;
const MAX_WAIT_MS = 10_000;

/** Starts to watch a ConfigMap; the returned function ends that. */
export function watchConfigMap(api: ConfigMapApi, { onData, onError }: ConfigMapListener, clock: Clock): () => void {
  let lastVersion: string | undefined;
  let isClosed = false;
  let abort: (() => void) | undefined;
  let cancelTimer: (() => void) | undefined;
  let waitMs = MIN_WAIT_MS;

  function notify(map: ConfigMap | undefined): void {
    // Each new list and watch reports the same version again.
    const version = map?.metadata?.resourceVersion ?? 'absent';
    if (version === lastVersion || isClosed) return;
    lastVersion = version;
    onData(map === undefined ? undefined : new Map(Object.entries(map.data ?? {})));
  }

  function restartLater(): void {
    if (isClosed) return;
    cancelTimer = clock.startTimer(waitMs, () => void start());
  }

  async function start(): Promise<void> {
    try {
      const { map, resourceVersion } = await api.find();
      notify(map);
      waitMs = MIN_WAIT_MS;
      const onEvent = (type: string, changed: ConfigMap): void => {
        if (type === 'ADDED' || type === 'MODIFIED') notify(changed);
        if (type === 'DELETED') notify(undefined);
      };
      abort = await api.watch(resourceVersion, onEvent, restartLater);
      if (isClosed) abort();
    } catch (error) {
      if (isClosed) return;
      if (onError(error)) lastVersion = undefined;
      waitMs = Math.min(MAX_WAIT_MS, waitMs * 2);
      restartLater();
    }
  }

  void start();
  return () => {
    isClosed = true;
    cancelTimer?.();
    abort?.();
  };
}
