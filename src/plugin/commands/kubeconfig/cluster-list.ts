/** Reads the clusters of `--from-list` from a YAML file. */
import { dirname, resolve } from 'node:path';
import { ConfigError, PluginError } from '../../../shared/base/errors.ts';
import { readNamedFile } from '../../../shared/base/read-file.ts';
import { unifyKeys } from '../../../shared/options/unify-keys.ts';
import { parseYaml } from '../../../shared/options/yaml.ts';
import type { YamlMapping, YamlValue } from '../../../shared/options/yaml.ts';
import type { Layer } from '../../config/option.ts';
import { parseServerUrl, readAuthority } from './context.ts';
import { isUsableName } from './listed-cluster.ts';
import type { ClusterList, LeftOutCluster, ListedCluster } from './listed-cluster.ts';

const ORIGIN = '--from-list';

/** Thousands of clusters. */
const MAX_BYTES = 1024 * 1024;

/** The options of a token exchange that an entry can set. */
const EXCHANGE_OPTIONS = ['token-exchange-url', 'token-exchange-audience', 'token-exchange-cacert'] as const;

const toKey = (name: string): string => name.replaceAll('-', '_');

const KEYS = ['name', 'server', 'certificate_authority', ...EXCHANGE_OPTIONS.map(toKey)];

const EXAMPLE = 'write "clusters:" and below it entries with name, server and certificate-authority';

function readText(entry: YamlMapping, key: string, where: string): string | undefined {
  const value = entry.get(key) ?? null;
  if (value === null) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new ConfigError(`${where}: ${key.replaceAll('_', '-')} must be text`, { hint: EXAMPLE });
}

/** Reads the settings of the token exchange of an entry; undefined if there are none. */
function readExchange(entry: YamlMapping, where: string, folder: string): Layer | undefined {
  const settings = EXCHANGE_OPTIONS.flatMap((name) => {
    const text = readText(entry, toKey(name), where);
    if (text === undefined) return [];
    // Paths are relative to the list.
    const value = name === 'token-exchange-cacert' ? resolve(folder, text) : text;
    return [[name, { value, origin: `${where}: ${name}` }] as const];
  });
  return settings.length === 0 ? undefined : new Map(settings);
}

function readEntry(value: YamlValue, where: string, folder: string): ListedCluster {
  if (!(value instanceof Map)) throw new ConfigError(`${where} is not a mapping`, { hint: EXAMPLE });
  const entry = unifyKeys(value, where);
  const unknown = [...entry.keys()].find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new ConfigError(`${where} has the unknown key "${unknown}"`, {
      hint: `use ${KEYS.map((key) => key.replaceAll('_', '-')).join(', ')}`,
    });
  }
  const server = readText(entry, 'server', where);
  if (server === undefined) throw new ConfigError(`${where} has no server`, { hint: EXAMPLE });
  const url = parseServerUrl(server, `${where}: server`);
  const name = readText(entry, 'name', where) ?? url.hostname;
  if (!isUsableName(name)) throw new ConfigError(`${where} has a name that cannot be used`, { hint: EXAMPLE });
  const authority = readText(entry, 'certificate_authority', where);
  const exchange = readExchange(entry, where, folder);
  return {
    name,
    server,
    authority:
      authority === undefined
        ? undefined
        : readAuthority(resolve(folder, authority), `${where}: certificate-authority`),
    ...(exchange === undefined ? {} : { exchange }),
  };
}

/**
 * Reads the list. Paths in it are relative to its folder.
 *
 * @throws ConfigError if it is not a list of clusters
 */
export function readClusterList(path: string): ClusterList {
  const bytes = readNamedFile(path, MAX_BYTES, ORIGIN, 'name a YAML file that you can read');
  const entries = parseYaml(bytes, path).get('clusters') ?? null;
  if (!Array.isArray(entries) || entries.length === 0)
    throw new ConfigError(`${ORIGIN}: ${path} lists no clusters`, { hint: EXAMPLE });
  const clusters = new Map<string, ListedCluster>();
  const leftOut: LeftOutCluster[] = [];
  for (const [index, value] of entries.entries()) {
    const where = `entry ${index + 1} of ${path}`;
    try {
      const cluster = readEntry(value as YamlValue, where, dirname(path));
      if (clusters.has(cluster.name)) {
        throw new ConfigError(`${where} has the name of an earlier one, "${cluster.name}"`, {
          hint: 'give each cluster another name',
        });
      }
      clusters.set(cluster.name, cluster);
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      leftOut.push({ name: where, error });
    }
  }
  return { clusters: [...clusters.values()], leftOut };
}
