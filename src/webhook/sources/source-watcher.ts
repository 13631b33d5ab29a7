/**
 * Where settings come from that may change while we run: files, or ConfigMaps of the cluster. A file is stronger, at all
 * times. What is bad is said and counted, and what was good stays in force.
 */
import { PluginError } from '../../shared/base/errors.ts';
import { startFileWatcher } from './file-watcher.ts';
import type { Cluster, ConfigMapData } from './cluster.ts';
import type { Log } from '../server/log.ts';
import type { Metrics } from '../server/metrics.ts';

/** The namespace in which ConfigMaps are looked for. */
const NAMESPACE = 'kube-system';

/** How often files are looked at, in ms. */
const LOOK_MS = 1_000;

/** A text that lives in a file or in a key of a ConfigMap. */
export interface TextSource<T> {
  readonly what: string;
  readonly file: string | undefined;
  readonly configMap: { readonly name: string; readonly key: string } | undefined;
  /** @throws PluginError where the text cannot be used */
  readonly parse: (text: string, where: string) => T;
  /** What counts where the ConfigMap, or its key, is not there. */
  readonly defaultValue: T;
  readonly apply: (value: T) => void;
}

export interface SourceWatcher {
  /**
   * Reads files, now and whenever they change.
   *
   * @throws PluginError where they cannot be used in the first place
   */
  readonly watchFiles: <T>(
    what: string,
    files: readonly string[],
    parse: (texts: readonly string[]) => T,
    use: (value: T) => void,
  ) => Promise<void>;
  /** Reads a file or follows a ConfigMap; nothing where there is neither. */
  readonly watchText: <T>(source: TextSource<T>, cluster: () => Promise<Cluster>) => Promise<void>;
  /** Looks at all files now. */
  readonly checkFiles: () => Promise<void>;
  /** What has never been read so far; undefined where all has. */
  readonly findUnreadSource: () => string | undefined;
  readonly close: () => void;
}

/** Opens the sources. */
export function makeSourceWatcher(log: Log, metrics: Metrics): SourceWatcher {
  const closing: (() => void)[] = [];
  const looks: (() => Promise<void>)[] = [];
  const awaited = new Set<string>();

  const good = (what: string): void => {
    metrics.recordReload(what, 'ok');
    log.info({ what }, 'reloaded');
  };
  const bad = (what: string, reason: string): void => {
    metrics.recordReload(what, 'failed');
    log.error({ what, reason }, 'reload failed; what was good stays in force');
  };

  const watchFiles: SourceWatcher['watchFiles'] = async (what, files, parse, use) => {
    const kept = await startFileWatcher({
      files,
      parse,
      intervalMs: LOOK_MS,
      onChange: (result) => {
        if ('failure' in result) {
          bad(what, result.failure);
          return;
        }
        use(result.value);
        good(what);
      },
    });
    closing.push(() => {
      kept.close();
    });
    looks.push(() => kept.check());
    use(kept.current());
  };

  function followMap<T>(source: TextSource<T>, map: { name: string; key: string }, cluster: Cluster): void {
    const { what, parse, defaultValue, apply } = source;
    const where = `ConfigMap ${NAMESPACE}/${map.name}`;
    awaited.add(where);
    apply(defaultValue);
    const take = (data: ConfigMapData): void => {
      awaited.delete(where);
      const text = data?.get(map.key);
      if (text === undefined) {
        log.warn({ what, where }, `it is not there, or has no key "${map.key}"`);
        apply(defaultValue);
        return;
      }
      try {
        apply(parse(text, where));
        good(what);
      } catch (error) {
        if (!(error instanceof PluginError)) throw error;
        bad(what, error.message);
      }
    };
    const onTrouble = (reason: string): void => {
      log.warn({ what, where, reason }, 'it cannot be read for the moment');
    };
    closing.push(cluster.watchConfigMap({ namespace: NAMESPACE, name: map.name }, take, onTrouble));
  }

  return {
    watchFiles,
    async watchText(source, cluster) {
      const { what, file, configMap, parse, apply } = source;
      if (file !== undefined) {
        if (configMap !== undefined)
          log.warn({ what }, `the ConfigMap ${configMap.name} does not count beside the file`);
        await watchFiles(what, [file], ([text = '']) => parse(text, file), apply);
      } else if (configMap !== undefined) followMap(source, configMap, await cluster());
    },
    checkFiles: async () => {
      await Promise.all(looks.map((look) => look()));
    },
    findUnreadSource: () => {
      const [first] = awaited;
      return first;
    },
    close: () => {
      for (const close of closing) close();
    },
  };
}
