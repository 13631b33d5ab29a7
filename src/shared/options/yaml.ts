/**
 * Parses YAML from untrusted files, as far as a list of clouds needs it: no tags that construct objects, no deep
 * nesting, no aliases that expand to much more than the file. JSON is YAML too.
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

/** The content of a file. A scalar keeps its text, so that an ID such as 0123 or 12e4 does not become a number. */
export type YamlValue = string | null | readonly YamlValue[] | YamlMapping;

/** A Map, because a key such as `__proto__` has a meaning in a JavaScript object. */
export type YamlMapping = ReadonlyMap<string, YamlValue>;

/** What a file may contain. */
export interface YamlLimits {
  readonly parts: number;
  readonly aliases: number;
  readonly mergedKeys: number;
  /** What to do about a file with more parts. */
  readonly hint: string;
}

/** For a list of clouds, which can come from others. */
const CLOUD_LIMITS: YamlLimits = {
  ...{ parts: 20_000, aliases: 1_000, mergedKeys: 5_000 },
  hint: 'remove everything but the clouds',
};

/** For the files of a server, which only its operator writes. */
export const SERVER_LIMITS: YamlLimits = {
  ...{ parts: 400_000, aliases: 20_000, mergedKeys: 100_000 },
  hint: 'split what it describes, or leave out what is not needed',
};

const MAX_DEPTH = 32;

/** What may start an entry of a list or a mapping: each costs the parser much more than its byte. */
const PART = /[[{,\n\r]|[-?:](?=\s)/g;

const mapTag = defineMappingTag<Map<string, unknown>>('tag:yaml.org,2002:map', {
  create: () => new Map(),
  addPair(map, key, value) {
    if (typeof key !== 'string') return 'a key is not text';
    map.set(key, value);
    return '';
  },
  has: (map, key) => map.has(String(key)),
  keys: (map) => map.keys(),
  get: (map, key) => map.get(String(key)),
  identify: () => false,
});

/** Tags without effect, because all scalars are text. */
const plainTags = ['bool', 'int', 'float'].map((name) =>
  defineScalarTag(`tag:yaml.org,2002:${name}`, { resolve: (source) => source, identify: () => false }),
);

const SCHEMA = new Schema([strTag, nullCoreTag, mergeTag, ...plainTags, seqTag, mapTag]);

const DEFAULT_HINT = 'correct the indentation, quotes or colons in the file';

/** Our reasons for those of the parser, which quote the file, and what to do. */
const REASONS: readonly (readonly [reason: RegExp, problem: string, hint: string])[] = [
  [/^duplicated mapping key/, 'contains a key twice', 'remove one of the two keys'],
  [/^aliases exceeded|^merge keys exceeded/, 'has aliases (*, <<) that expand to too much', 'write values out'],
  [/^nesting exceeded/, 'is nested too deeply', DEFAULT_HINT],
  [/^unknown .*tag/, 'contains a tag (!) that is not supported', 'put quotes around a value that begins with !'],
  [/^unidentified alias/, 'contains an alias (*) of nothing', 'put quotes around a value that begins with *'],
  [/non-printable/, 'contains characters that are not text', 'remove them'],
];

function explain(path: string, error: unknown): ConfigError {
  const exception = error instanceof YAMLException ? error : undefined;
  const known = REASONS.find(([reason]) => reason.test(exception?.reason ?? ''));
  const [, problem, hint] = known ?? [undefined, 'is not valid YAML', DEFAULT_HINT];
  const line = exception?.mark === undefined ? '' : ` (line ${exception.mark.line + 1})`;
  return new ConfigError(`${path} ${problem}${line}`, { hint });
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError(`${path} is not UTF-8 text`, { hint: 'save the file as UTF-8' });
  }
}

function parseDocuments(text: string, path: string, { aliases, mergedKeys }: YamlLimits): YamlValue[] {
  try {
    return loadAll(text, {
      schema: SCHEMA,
      maxDepth: MAX_DEPTH,
      maxAliases: aliases,
      maxTotalMergeKeys: mergedKeys,
    }) as YamlValue[];
  } catch (error) {
    throw explain(path, error);
  }
}

/**
 * Parses a file that can contain several documents.
 *
 * @throws ConfigError that names the file and quotes nothing of it
 */
export function parseYamlDocuments(bytes: Uint8Array, path: string, limits = CLOUD_LIMITS): readonly YamlValue[] {
  const text = decode(bytes, path);
  if ((text.match(PART)?.length ?? 0) > limits.parts) {
    throw new ConfigError(`${path} has more than ${limits.parts} entries`, { hint: limits.hint });
  }
  return parseDocuments(text, path, limits);
}

/**
 * Parses a file that contains one mapping; an empty file is an empty mapping.
 *
 * @throws ConfigError that names the file and quotes nothing of it
 */
export function parseYaml(bytes: Uint8Array, path: string, limits = CLOUD_LIMITS): YamlMapping {
  const [content = null, ...others] = parseYamlDocuments(bytes, path, limits);
  if (others.length > 0) {
    throw new ConfigError(`${path} contains more than one document`, { hint: 'remove the "---" lines' });
  }
  if (content === null) return new Map();
  if (content instanceof Map) return content;
  throw new ConfigError(`${path} is not a mapping of names to values`, {
    hint: 'write "NAME: VALUE" lines in the file',
  });
}
