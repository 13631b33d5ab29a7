/** YAML that keeps its comments, and YAML of our own. */
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, Parser, stringify } from 'yaml';
import type { CST, Document, ParsedNode } from 'yaml';
import { ConfigError, PluginError } from '../../shared/base/errors.ts';
import type { DocumentTree, ItemTree, PairTree, Span, StreamTree, Tree } from './yaml-tree.ts';

/** Writes data as YAML, lines as long as they are. */
export function stringifyYaml(data: unknown): string {
  return stringify(data, { lineWidth: 0 });
}

/** Of how a block is written. */
export interface BlockStyle {
  /** Whether the dashes of a list stand further in than the key that it belongs to. */
  readonly indentLists: boolean;
}

/**
 * Writes data as the lines of a block. What YAML 1.1, which kubectl reads, takes for something else than text is quoted,
 * and no text takes more than a line.
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

/** The end of what the node says, without what YAML counts to it: comments and line feeds that follow. */
function lastOf(pieces: readonly Span[], start: number): number {
  return pieces.reduce((end, piece) => Math.max(end, piece.end), start);
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
  const name = key.kind === 'scalar' ? String(key.value) : '';
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
    return { kind: 'map', flow, pairs, start, end: flow ? end : lastOf(pairs, start) };
  }
  if (isSeq(node)) {
    const items: ItemTree[] = node.items.map((item, index) => {
      const value = convert(item);
      const first = startOfItem(node.srcToken, index, value);
      return { value, start: first, end: Math.max(value.end, first + 1) };
    });
    const flow = flowOf(node);
    return { kind: 'list', flow, items, start, end: flow ? end : lastOf(items, start) };
  }
  return { kind: 'scalar', value: isScalar(node) ? node.value : undefined, start, end };
}

/** Collects the comments of a token and of all in it. */
function collectComments(token: unknown, into: Span[]): void {
  if (Array.isArray(token)) {
    for (const part of token) collectComments(part, into);
  } else if (typeof token === 'object' && token !== null) {
    const { type, offset, source } = token as { type?: unknown; offset?: unknown; source?: unknown };
    if (type === 'comment' && typeof offset === 'number' && typeof source === 'string') {
      into.push({ start: offset, end: offset + source.length });
      return;
    }
    for (const part of Object.values(token)) if (typeof part === 'object') collectComments(part, into);
  }
}

function readDocument(document: Document.Parsed, lines: LineCounter, path: string): DocumentTree {
  const [error] = document.errors;
  if (error !== undefined) {
    // The parser's own words quote the file.
    const { line } = lines.linePos(error.pos[0]);
    throw new ConfigError(`${path} is not YAML: line ${String(line)} cannot be understood`, {
      hint: 'correct that line, or start from a copy',
    });
  }
  const data: unknown = document.toJS();
  return { data, root: document.contents === null ? undefined : convert(document.contents) };
}

/**
 * Parses a text, all of its documents.
 *
 * @param path of the file, for messages
 * @throws ConfigError where it is no YAML; nothing of the text is in the message
 */
export function parseYamlStream(text: string, path: string): StreamTree {
  try {
    const lines = new LineCounter();
    const tokens = [...new Parser(lines.addNewLine).parse(text)];
    const composer = new Composer({ merge: true, keepSourceTokens: true, prettyErrors: false, logLevel: 'silent' });
    const documents = [...composer.compose(tokens)].map((document) => readDocument(document, lines, path));
    const comments: Span[] = [];
    collectComments(tokens, comments);
    return { documents, comments };
  } catch (error) {
    if (error instanceof PluginError) throw error;
    // An alias without an anchor, too many of them, or nested deeper than the stack.
    throw new ConfigError(
      `${path} cannot be taken for a kubeconfig: too much is nested, or an alias stands for too much or nothing`,
      {
        hint: 'correct the file, or start from a copy',
      },
    );
  }
}
