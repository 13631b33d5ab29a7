/** Parses YAML with the positions of its parts and comments, and writes YAML. */
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser, stringify } from 'yaml';
import type { CST, Document, ParsedNode } from 'yaml';
import { ConfigError, PluginError } from '../../shared/base/errors.ts';
import type { DocumentTree, ItemTree, PairTree, RepeatedKey, Span, StreamTree, Tree } from './yaml-tree.ts';

/** What may be a part of a text: each costs the parser much more than its byte. */
const PART = /[[{,\n\r]|[-?:](?=\s)/g;

/** 2,000 clusters with their contexts and users have 78,000. */
const MAX_PARTS = 150_000;

/** A merge key copies all that it refers to. */
const MERGE_KEY = '<<';
const MERGE = /<</g;
const MAX_MERGED_PARTS = 1_000_000;

const countMatches = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** @throws ConfigError before the text takes long to parse, or much memory */
function checkSize(text: string, path: string, maxParts: number): void {
  const parts = countMatches(text, PART);
  if (parts <= maxParts && parts * countMatches(text, MERGE) <= MAX_MERGED_PARTS) return;
  throw new ConfigError(`${path} has too many parts for a kubeconfig (${String(parts)})`, {
    hint: 'split it into several files, and name them in KUBECONFIG',
  });
}

/** Writes data as YAML without wrapping long lines. */
export function stringifyYaml(data: unknown): string {
  return stringify(data, { lineWidth: 0 });
}

/** How a block is laid out. */
export interface BlockStyle {
  /** Whether the dashes of a list are indented deeper than the key of the list. */
  readonly indentLists: boolean;
}

/**
 * Writes data as the lines of a block. Text that YAML 1.1, which kubectl reads, would parse as another type is quoted.
 * Every text stays on one line.
 */
export function renderYamlBlock(data: unknown, { indentLists }: BlockStyle): string[] {
  const text = stringify(data, {
    version: '1.1',
    indentSeq: indentLists,
    lineWidth: 0,
    blockQuote: false,
    doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
    aliasDuplicateObjects: false,
  });
  return text.trimEnd().split('\n');
}

/** The end of the last part of a node; YAML also counts the comments and line feeds that follow as part of the node. */
function endOfParts(parts: readonly Span[], start: number): number {
  return parts.reduce((end, part) => Math.max(end, part.end), start);
}

const flowOf = (node: { flow?: boolean | undefined }): boolean => node.flow === true;

function readPair(
  item: { key: ParsedNode; value: ParsedNode | null; srcToken?: CST.CollectionItem },
  convert: (node: ParsedNode) => Tree,
): PairTree {
  const key = convert(item.key);
  const indicator = item.srcToken?.sep?.find(({ type }) => type === 'map-value-ind');
  const colon = indicator === undefined ? key.end : indicator.offset + 1;
  const value: Tree =
    item.value === null ? { kind: 'scalar', value: null, start: colon, end: colon } : convert(item.value);
  // The parser has a symbol for the merge key.
  const isMerge = key.kind === 'scalar' && typeof key.value === 'symbol';
  const name = isMerge ? MERGE_KEY : key.kind === 'scalar' ? String(key.value) : '';
  return { key: name, start: key.start, colon, value, end: value.start === value.end ? colon : value.end };
}

function startOfItem(token: CST.Token | undefined, index: number, value: Tree): number {
  if (token?.type !== 'block-seq') return value.start;
  return token.items[index]?.start.find(({ type }) => type === 'seq-item-ind')?.offset ?? value.start;
}

function convert(node: ParsedNode): Tree {
  const [start, end] = node.range;
  if (isAlias(node)) return { kind: 'alias', start, end };
  if (isMap(node)) {
    const pairs = node.items.map((item) => readPair(item, convert));
    const flow = flowOf(node);
    return { kind: 'map', flow, pairs, start, end: flow ? end : endOfParts(pairs, start) };
  }
  if (isSeq(node)) {
    const items: ItemTree[] = node.items.map((item, index) => {
      const value = convert(item);
      const first = startOfItem(node.srcToken, index, value);
      return { value, start: first, end: Math.max(value.end, first + 1) };
    });
    const flow = flowOf(node);
    return { kind: 'list', flow, items, start, end: flow ? end : endOfParts(items, start) };
  }
  return { kind: 'scalar', value: isScalar(node) ? node.value : undefined, start, end };
}

/** Collects the comments in a token and in all tokens below it. */
function collectComments(token: unknown, comments: Span[]): void {
  if (Array.isArray(token)) {
    for (const part of token) collectComments(part, comments);
  } else if (typeof token === 'object' && token !== null) {
    const { type, offset, source } = token as { type?: unknown; offset?: unknown; source?: unknown };
    if (type === 'comment' && typeof offset === 'number' && typeof source === 'string') {
      comments.push({ start: offset, end: offset + source.length });
      return;
    }
    for (const part of Object.values(token)) if (typeof part === 'object') collectComments(part, comments);
  }
}

/** Collects the keys that a map has more than once. The parser would compare each key with each other one. */
function collectRepeatedKeys(tree: Tree | undefined, lines: LineCounter, repeated: RepeatedKey[]): void {
  if (tree?.kind !== 'map' && tree?.kind !== 'list') return;
  const parts = tree.kind === 'map' ? tree.pairs : tree.items;
  for (const { value } of parts) collectRepeatedKeys(value, lines, repeated);
  if (tree.kind !== 'map') return;
  const occurrences = new Map<string, { first: number; last: number }>();
  for (const { key, start } of tree.pairs) {
    if (key === MERGE_KEY) continue;
    const known = occurrences.get(key);
    if (known === undefined) occurrences.set(key, { first: start, last: start });
    else known.last = start;
  }
  for (const [key, { first, last }] of occurrences) {
    if (first === last) continue;
    repeated.push({ key, firstLine: lines.linePos(first).line, lastLine: lines.linePos(last).line });
  }
}

function readDocument(document: Document.Parsed, lines: LineCounter, path: string): DocumentTree {
  const position = document.errors[0]?.pos[0];
  if (position !== undefined) {
    // The message of the parser quotes the file.
    const { line } = lines.linePos(position);
    throw new ConfigError(`${path} is not valid YAML: line ${String(line)} cannot be parsed`, {
      hint: 'correct that line, or restore a copy of the file',
    });
  }
  const root = document.contents === null ? undefined : convert(document.contents);
  const repeatedKeys: RepeatedKey[] = [];
  collectRepeatedKeys(root, lines, repeatedKeys);
  const data: unknown = document.toJS();
  return { data, repeatedKeys, root };
}

/**
 * Parses all documents of a text. Of a key that a map has twice, the last one counts, as in kubectl.
 *
 * @param path of the file, for messages
 * @param maxParts limits what may be a part of it; by default, what 3,000 clusters need
 * @throws ConfigError if the text is not YAML, or has too many parts; the message quotes nothing of it
 */
export function parseYamlStream(text: string, path: string, maxParts = MAX_PARTS): StreamTree {
  checkSize(text, path, maxParts);
  try {
    const lines = new LineCounter();
    const tokens = [...new Parser(lines.addNewLine).parse(text)];
    const composer = new Composer({
      merge: true,
      uniqueKeys: false,
      keepSourceTokens: true,
      prettyErrors: false,
      logLevel: 'silent',
    });
    const documents = [...composer.compose(tokens)].map((document) => readDocument(document, lines, path));
    const comments: Span[] = [];
    collectComments(tokens, comments);
    return { documents, comments };
  } catch (error) {
    if (error instanceof PluginError) throw error;
    // An alias without an anchor, too many aliases, or deeper nesting than the stack holds.
    throw new ConfigError(
      `${path} cannot be read as a kubeconfig: it is nested too deeply, ` +
        'or an alias is undefined or expands to too much',
      { hint: 'correct the file, or restore a copy of it' },
    );
  }
}
