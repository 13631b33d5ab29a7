/** A kubeconfig's text and what it says; changed so that nothing else is. */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../../shared/base/errors.ts';
import { isJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { rewriteYaml } from './edit-yaml.ts';
import type { StreamTree } from './yaml-tree.ts';
import { parseYamlStream } from './yaml.ts';

/** The lists of a kubeconfig, by the name of what an entry holds. */
export const SECTIONS = { cluster: 'clusters', user: 'users', context: 'contexts' } as const;

export type EntryKind = keyof typeof SECTIONS;

/** A kubeconfig as it was read. */
export interface KubeconfigDocument {
  readonly path: string;
  readonly text: string;
  readonly data: JsonObject;
  readonly stream: StreamTree;
}

const KINDS: readonly EntryKind[] = ['cluster', 'user', 'context'];

/** Names in messages are the file's, so they are as long as it likes. */
const shorten = (name: string): string => (name.length > 80 ? `${name.slice(0, 80)}…` : name);

function checkList(list: unknown, section: string, path: string): void {
  if (list === undefined || list === null) return;
  const hint = 'correct it; kubectl does not take it either';
  if (!Array.isArray(list)) throw new ConfigError(`${path}: ${section} is no list`, { hint });
  const names = new Set<string>();
  for (const entry of list as readonly unknown[]) {
    const name = isJsonObject(entry) ? entry['name'] : undefined;
    if (typeof name !== 'string') throw new ConfigError(`${path}: an entry of ${section} has no name`, { hint });
    if (names.has(name)) throw new ConfigError(`${path}: ${section} has "${shorten(name)}" twice`, { hint });
    names.add(name);
  }
}

/**
 * Parses a kubeconfig. As kubectl does, of several documents it takes the first.
 *
 * @param path of the file, for messages
 * @throws ConfigError where it is no YAML or no kubeconfig
 */
export function parseKubeconfig(text: string, path: string): KubeconfigDocument {
  const stream = parseYamlStream(text, path);
  const data = stream.documents[0]?.data ?? {};
  if (!isJsonObject(data) || (data['kind'] ?? 'Config') !== 'Config') {
    throw new ConfigError(`${path} is no kubeconfig`, { hint: 'name another file with --kubeconfig or KUBECONFIG' });
  }
  for (const kind of KINDS) checkList(data[SECTIONS[kind]], SECTIONS[kind], path);
  return { path, text, data, stream };
}

/**
 * The text of a kubeconfig that says `after` and is the same elsewhere; the other documents of the file included.
 *
 * @throws ConfigError where that cannot be had
 */
export function rewriteKubeconfig(document: KubeconfigDocument, after: JsonObject): string {
  const { path, text, data, stream } = document;
  if (isDeepStrictEqual(data, after)) return text;
  const written = rewriteYaml(text, stream, after);
  if (!says(written, path, [after, ...stream.documents.slice(1).map((other) => other.data)])) {
    throw new ConfigError(`${path} cannot be changed without changing more of it, so nothing was written`, {
      hint: 'an anchor, an alias or a merge key is in the way: write out what it stands for',
    });
  }
  return written;
}

function says(text: string, path: string, expected: readonly unknown[]): boolean {
  try {
    const documents = parseYamlStream(text, path).documents.map(({ data }) => data);
    return isDeepStrictEqual(documents, expected);
  } catch {
    return false;
  }
}
