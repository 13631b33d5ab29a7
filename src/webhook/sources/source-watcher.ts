/**
 * The sources of settings that may change while the webhook runs: files, or ConfigMaps of the cluster. A file always
 * takes precedence. Invalid content is logged and counted, and the last valid content stays in force.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { PluginError } from '../../shared/base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { ReloadMetrics } from '../observability/metric-registry.ts';
import type { Cluster, ConfigMapTrouble } from './cluster.ts';
import { startFileWatcher } from './file-watcher.ts';
import type { NamedFile } from './read-text-file.ts';
import type { ConfigMapData } from './watch-config-map.ts';

/** The namespace of the ConfigMaps. */
const NAMESPACE = 'kube-system';

/** How often files are checked. */
const CHECK_MS = 1_000;

/** A text in a file or in a key of a ConfigMap. */
export interface TextSource<T> {
  /** Names the setting in the log and as a label of the metrics. */
  readonly what: string;
  readonly file: NamedFile | undefined;
  readonly configMap: { readonly name: string; readonly key: string } | undefined;
  /** @throws PluginError if the text is invalid */
  readonly parse: (text: string, where: string) => T;
  /** Applies while the ConfigMap, or its key, does not exist. */
  readonly defaultValue: T;
  /** What the default value means, for the log. */
  readonly defaultEffect: string;
  /** Whether the default value also applies while the webhook has no right to read the ConfigMap. */
  readonly needsRight: boolean;
  readonly apply: (value: T) => void;
}

/** Several files that are valid only together. */
export interface FileSource<T> {
  readonly what: string;
  readonly files: readonly NamedFile[];
  /** @throws PluginError if the texts are invalid */
  readonly parse: (texts: readonly string[]) => T;
  readonly apply: (value: T) => void;
}

/** Watches all sources of one webhook. */
export class SourceWatcher {
  readonly #log: Log;
  readonly #metrics: ReloadMetrics;
  readonly #clock: Clock;
  readonly #closers: (() => void)[] = [];
  readonly #fileChecks: (() => void)[] = [];
  /** Why sources have no content that could apply, by their name for messages. */
  readonly #unreadSources = new Map<string, string>();
  /** When the content in force was last known to be what its source says, by {@link TextSource.what}. */
  readonly #confirmedAt = new Map<string, number>();

  constructor(log: Log, metrics: ReloadMetrics, clock: Clock) {
    this.#log = log;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /**
   * Reads files and watches them.
   *
   * @returns the content now; later content goes to `apply`
   * @throws PluginError if they are invalid at the start
   */
  watchFiles<T>({ what, files, parse, apply }: FileSource<T>): T {
    this.#metrics.recordStart(what);
    const onConfirmed = (): void => {
      this.#confirm(what);
    };
    const watcher = startFileWatcher({
      files,
      parse,
      intervalMs: CHECK_MS,
      clock: this.#clock,
      onChange: (result) => {
        if ('failure' in result) {
          this.#reportFailure(what, result.failure);
          return;
        }
        apply(result.value);
        this.#reportReload(what);
      },
      onConfirmed,
    });
    onConfirmed();
    this.#closers.push(() => {
      watcher.close();
    });
    this.#fileChecks.push(watcher.check);
    return watcher.current();
  }

  /**
   * Applies the content of a file, or else of a ConfigMap, now and whenever it changes; does nothing if
   * neither is set.
   *
   * @throws PluginError if the file is invalid at the start, or if there is no cluster
   */
  async watchText<T>(source: TextSource<T>, cluster: () => Promise<Cluster>): Promise<void> {
    const { what, file, configMap, parse, apply } = source;
    if (file !== undefined) {
      if (configMap !== undefined) {
        this.#log.warn({ what }, `the ConfigMap ${configMap.name} is ignored because the file takes precedence`);
      }
      apply(this.watchFiles({ what, files: [file], parse: ([text = '']) => parse(text, file.path), apply }));
    } else if (configMap !== undefined) this.#watchConfigMap(source, configMap, await cluster());
  }

  /** Checks all files now. */
  checkFiles(): void {
    for (const check of this.#fileChecks) check();
  }

  /** Why a source has no content that could apply, as text for messages. */
  findUnreadSource(): string | undefined {
    const [source] = this.#unreadSources;
    return source?.join(' ');
  }

  /** How long ago the content in force was last known to be what its source says, in ms; 0 without such a source. */
  readAge(what: string): number {
    const confirmedAt = this.#confirmedAt.get(what);
    return confirmedAt === undefined ? 0 : this.#clock.monotonicMs() - confirmedAt;
  }

  close(): void {
    for (const close of this.#closers) close();
  }

  #watchConfigMap<T>(source: TextSource<T>, { name, key }: { name: string; key: string }, cluster: Cluster): void {
    const { what, parse, defaultValue, defaultEffect, needsRight, apply } = source;
    const where = `ConfigMap ${NAMESPACE}/${name}`;
    let isCurrent = false;
    this.#metrics.recordStart(what);
    this.#unreadSources.set(where, 'has not been read yet');
    this.#confirm(what);
    apply(defaultValue);
    const onData = (data: ConfigMapData): void => {
      const text = data?.get(key);
      isCurrent = true;
      if (text === undefined) {
        this.#unreadSources.delete(where);
        const problem = data === undefined ? 'does not exist' : `has no key "${key}"`;
        this.#log.warn({ what, where }, `the ConfigMap ${problem}: ${defaultEffect}`);
        apply(defaultValue);
        return;
      }
      try {
        apply(parse(text, where));
        this.#unreadSources.delete(where);
        this.#reportReload(what);
      } catch (error) {
        if (!(error instanceof PluginError)) throw error;
        isCurrent = false;
        const isFirst = this.#unreadSources.has(where);
        if (isFirst) this.#unreadSources.set(where, 'is invalid');
        this.#reportFailure(what, error.message, isFirst ? defaultEffect : undefined);
      }
    };
    const onConfirmed = (): void => {
      if (isCurrent) this.#confirm(what);
    };
    const onTrouble = ({ reason, isForbidden }: ConfigMapTrouble): boolean => {
      const appliesDefault = needsRight && isForbidden;
      const effect = appliesDefault ? `: ${defaultEffect}` : '';
      this.#log.warn({ what, where, reason }, `the ConfigMap cannot be read at the moment${effect}`);
      if (appliesDefault) apply(defaultValue);
      return appliesDefault;
    };
    const onWatchFailure = (reason: string): void => {
      this.#log.warn({ what, where, reason }, 'the watch of the ConfigMap has failed and starts again');
    };
    const observer = { onData, onConfirmed, onTrouble, onWatchFailure };
    this.#closers.push(cluster.watchConfigMap({ namespace: NAMESPACE, name }, observer));
  }

  #confirm(what: string): void {
    this.#confirmedAt.set(what, this.#clock.monotonicMs());
  }

  #reportReload(what: string): void {
    this.#metrics.recordReload(what, 'ok');
    this.#log.info({ what }, 'reloaded');
  }

  #reportFailure(what: string, reason: string, effect = 'the last valid content stays in force'): void {
    this.#metrics.recordReload(what, 'failed');
    this.#log.error({ what, reason }, `reload failed; ${effect}`);
  }
}
