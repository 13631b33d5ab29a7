/**
 * Where settings come from that may change while we run: files, or ConfigMaps of the cluster. A file is stronger, at all
 * times. What is bad is said and counted, and what was good stays in force.
 */
import { PluginError } from '../../shared/base/errors.ts';
import { keepFiles } from './file-watcher.ts';
import type { Cluster, ConfigData } from './kubernetes.ts';
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
  readonly absent: T;
  readonly use: (value: T) => void;
}

export interface Sources {
  /**
   * Reads files, now and whenever they change.
   *
   * @throws PluginError where they cannot be used in the first place
   */
  readonly keep: <T>(
    what: string,
    files: readonly string[],
    parse: (texts: readonly string[]) => T,
    use: (value: T) => void,
  ) => Promise<void>;
  /** Reads a file or follows a ConfigMap; nothing where there is neither. */
  readonly follow: <T>(source: TextSource<T>, cluster: () => Promise<Cluster>) => Promise<void>;
  /** Looks at all files now. */
  readonly look: () => Promise<void>;
  /** What has never been read so far; undefined where all has. */
  readonly awaited: () => string | undefined;
  readonly close: () => void;
}

/** Opens the sources. */
export function makeSources(log: Log, metrics: Metrics): Sources {
  const closing: (() => void)[] = [];
  const looks: (() => Promise<void>)[] = [];
  const awaited = new Set<string>();

  const good = (what: string): void => {
    metrics.reload(what, 'ok');
    log.info({ what }, 'reloaded');
  };
  const bad = (what: string, reason: string): void => {
    metrics.reload(what, 'failed');
    log.error({ what, reason }, 'reload failed; what was good stays in force');
  };

  const keep: Sources['keep'] = async (what, files, parse, use) => {
    const kept = await keepFiles({
      files,
      parse,
      everyMs: LOOK_MS,
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
    looks.push(() => kept.look());
    use(kept.current());
  };

  function followMap<T>(source: TextSource<T>, map: { name: string; key: string }, cluster: Cluster): void {
    const { what, parse, absent, use } = source;
    const where = `ConfigMap ${NAMESPACE}/${map.name}`;
    awaited.add(where);
    use(absent);
    const take = (data: ConfigData): void => {
      awaited.delete(where);
      const text = data?.get(map.key);
      if (text === undefined) {
        log.warn({ what, where }, `it is not there, or has no key "${map.key}"`);
        use(absent);
        return;
      }
      try {
        use(parse(text, where));
        good(what);
      } catch (error) {
        if (!(error instanceof PluginError)) throw error;
        bad(what, error.message);
      }
    };
    const onTrouble = (reason: string): void => {
      log.warn({ what, where, reason }, 'it cannot be read for the moment');
    };
    closing.push(cluster.follow({ namespace: NAMESPACE, name: map.name }, take, onTrouble));
  }

  return {
    keep,
    async follow(source, cluster) {
      const { what, file, configMap, parse, use } = source;
      if (file !== undefined) {
        if (configMap !== undefined)
          log.warn({ what }, `the ConfigMap ${configMap.name} does not count beside the file`);
        await keep(what, [file], ([text = '']) => parse(text, file), use);
      } else if (configMap !== undefined) followMap(source, configMap, await cluster());
    },
    look: async () => {
      await Promise.all(looks.map((look) => look()));
    },
    awaited: () => {
      const [first] = awaited;
      return first;
    },
    close: () => {
      for (const close of closing) close();
    },
  };
}
