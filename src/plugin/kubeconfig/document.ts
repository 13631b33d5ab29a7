/** Parses the text of a kubeconfig, and changes it without touching anything else in it. */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../../shared/base/errors.ts';
import { isJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { rewriteYaml } from './edit-yaml.ts';
import type { StreamTree } from './yaml-tree.ts';
import { parseYamlStream } from './yaml.ts';

/** The lists of a kubeconfig, by the key that holds the content of an entry. */
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

/** Shortens a name for a message: the file decides how long its names are. */
export function shortenName(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}…` : name;
}

function checkList(list: unknown, section: string, path: string): void {
  if (list === undefined || list === null) return;
  const hint = 'correct the file; kubectl rejects it too';
  if (!Array.isArray(list)) throw new ConfigError(`${path}: ${section} is not a list`, { hint });
  const names = new Set<string>();
  for (const entry of list as readonly unknown[]) {
    const name = isJsonObject(entry) ? entry['name'] : undefined;
    if (typeof name !== 'string') throw new ConfigError(`${path}: an entry of ${section} has no name`, { hint });
    if (names.has(name)) throw new ConfigError(`${path}: ${section} contains "${shortenName(name)}" twice`, { hint });
    names.add(name);
  }
}

/**
 * Parses a kubeconfig. Like kubectl, it uses the first document of a file that has several.
 *
 * @param path of the file, for messages
 * @param maxParts see {@link parseYamlStream}
 * @throws ConfigError if the text is not YAML or not a kubeconfig
 */
export function parseKubeconfig(text: string, path: string, maxParts?: number): KubeconfigDocument {
  const stream = parseYamlStream(text, path, maxParts);
  const data = stream.documents[0]?.data ?? {};
  if (!isJsonObject(data) || (data['kind'] ?? 'Config') !== 'Config') {
    throw new ConfigError(`${path} is not a kubeconfig`, { hint: 'name another file with --kubeconfig or KUBECONFIG' });
  }
  for (const kind of KINDS) checkList(data[SECTIONS[kind]], SECTIONS[kind], path);
  return { path, text, data, stream };
}

/**
 * Returns the text of a kubeconfig with the content `after`; the rest of the text stays as it is, further documents
 * included.
 *
 * @throws ConfigError if the text cannot be changed that way
 */
export function rewriteKubeconfig(document: KubeconfigDocument, after: JsonObject): string {
  const { path, text, data, stream } = document;
  if (isDeepStrictEqual(data, after)) return text;
  const rewritten = rewriteYaml(text, stream, after);
  if (!hasContent(rewritten, path, [after, ...stream.documents.slice(1).map((next) => next.data)])) {
    throw new ConfigError(`${path} cannot be changed without changing other parts of it, so nothing was written`, {
      hint: 'replace the anchor, alias or merge key that prevents this with the value that it refers to',
    });
  }
  return rewritten;
}

function hasContent(text: string, path: string, expected: readonly unknown[]): boolean {
  try {
    // What was added does not count.
    const documents = parseYamlStream(text, path, Number.POSITIVE_INFINITY).documents.map(({ data }) => data);
    return isDeepStrictEqual(documents, expected);
  } catch {
    return false;
  }
}
