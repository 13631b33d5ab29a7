/**
 * YAML as far as a list of clouds needs it, from files that nobody vouches for: no tags that make anything, nothing deep,
 * nothing that unfolds to more than it is. JSON is read as the YAML that it is.
 */
import {
  defineMappingTag,
  defineScalarTag,
  loadAll,
  mergeTag,
  nullCoreTag,
  Schema,
  seqTag,
  strTag,
  YAMLException,
} from 'js-yaml';
import { ConfigError } from '../base/errors.ts';

/** What a file holds. A scalar keeps its text, so that an id such as 0123 or 12e4 is not taken for a number. */
export type YamlValue = string | null | readonly YamlValue[] | YamlMapping;

/** A Map, in which no key means anything to JavaScript. */
export type YamlMapping = ReadonlyMap<string, YamlValue>;

const MAX_PARTS = 20_000;
const MAX_ALIASES = 1_000;
const MAX_MERGED_KEYS = 5_000;
const MAX_DEPTH = 32;

/** What may begin an entry of a list or a mapping: each costs the parser far more than its byte. */
const PART = /[[{,\n\r]|[-?:](?=\s)/g;

const mapTag = defineMappingTag<Map<string, unknown>>('tag:yaml.org,2002:map', {
  create: () => new Map(),
  addPair(map, key, value) {
    if (typeof key !== 'string') return 'a key is no text';
    map.set(key, value);
    return '';
  },
  has: (map, key) => map.has(String(key)),
  keys: (map) => map.keys(),
  get: (map, key) => map.get(String(key)),
  identify: () => false,
});

/** Tags that change nothing here, since all scalars are text. */
const plainTags = ['bool', 'int', 'float'].map((name) =>
  defineScalarTag(`tag:yaml.org,2002:${name}`, { resolve: (source) => source, identify: () => false }),
);

const SCHEMA = new Schema([strTag, nullCoreTag, mergeTag, ...plainTags, seqTag, mapTag]);

/** The parser's words, and ours: its own quote the file. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^duplicated mapping key/, 'holds a key twice'],
  [/^aliases exceeded|^merge keys exceeded/, 'repeats too much of itself (*, <<)'],
  [/^nesting exceeded/, 'is too deep'],
  [/^unknown .*tag/, 'holds a tag (!) that is not understood'],
  [/non-printable/, 'holds characters that are no text'],
];

function explain(path: string, error: unknown): ConfigError {
  const known = error instanceof YAMLException ? error : undefined;
  const words = REASONS.find(([reason]) => reason.test(known?.reason ?? ''))?.[1] ?? 'is not valid YAML';
  const at = known?.mark === undefined ? '' : ` (line ${known.mark.line + 1})`;
  return new ConfigError(`${path} ${words}${at}`, { hint: 'correct the file: indentation, quotes, colons' });
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(`${path} is not UTF-8 text`, { hint: 'save the file as UTF-8' });
  }
}

function parseDocuments(text: string, path: string): YamlValue[] {
  try {
    return loadAll(text, {
      schema: SCHEMA,
      maxDepth: MAX_DEPTH,
      maxAliases: MAX_ALIASES,
      maxTotalMergeKeys: MAX_MERGED_KEYS,
    }) as YamlValue[];
  } catch (error) {
    throw explain(path, error);
  }
}

/**
 * Parses a file that holds one mapping; an empty one is an empty mapping.
 *
 * @throws ConfigError that names the file, and no word of what is in it
 */
export function parseYaml(bytes: Uint8Array, path: string): YamlMapping {
  const text = decode(bytes, path);
  if ((text.match(PART)?.length ?? 0) > MAX_PARTS) {
    throw new ConfigError(`${path} has more than ${MAX_PARTS} entries`, { hint: 'keep only clouds in it' });
  }
  const [content = null, ...others] = parseDocuments(text, path);
  if (others.length > 0) {
    throw new ConfigError(`${path} holds more than one document`, { hint: 'remove the lines ---' });
  }
  if (content === null) return new Map();
  if (content instanceof Map) return content;
  throw new ConfigError(`${path} is not a mapping of names to values`, { hint: 'see the README on clouds.yaml' });
}
