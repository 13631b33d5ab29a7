/**
 * Changes the content of a YAML text. Only the parts with other content are replaced: everything else stays the same,
 * byte for byte.
 */
import { isDeepStrictEqual } from 'node:util';
import { isJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import { BOM, YamlText } from './yaml-text.ts';
import type { ItemTree, ListTree, MapTree, PairTree, Span, StreamTree, Tree } from './yaml-tree.ts';
import { renderYamlBlock } from './yaml.ts';
import type { BlockStyle } from './yaml.ts';

/** A span and the text that replaces it. */
interface Splice extends Span {
  readonly text: string;
}

type Replace = (value: unknown) => void;

/** The names of a list of uniquely named entries, as a kubeconfig has them; undefined for other lists. */
function namesOf(list: readonly unknown[]): string[] | undefined {
  const values = list.map((entry) => (isJsonObject(entry) ? entry['name'] : undefined));
  const names = values.filter((name) => typeof name === 'string');
  return names.length === values.length && new Set(names).size === names.length ? names : undefined;
}

function pick(from: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, from[key]]));
}

function readStyle(root: Tree | undefined, text: YamlText): BlockStyle {
  const pairs = root?.kind === 'map' && !root.flow ? root.pairs : [];
  for (const pair of pairs) {
    const { value } = pair;
    const [first] = value.kind === 'list' && !value.flow ? value.items : [];
    if (first !== undefined) return { indentLists: text.column(first.start) > text.column(pair.start) };
  }
  return { indentLists: false };
}

/** The changes to one text; they do not overlap. */
class Changes {
  readonly #text: YamlText;
  readonly #comments: readonly Span[];
  readonly #style: BlockStyle;
  readonly #splices: Splice[] = [];

  constructor(text: YamlText, root: Tree | undefined, comments: readonly Span[]) {
    this.#text = text;
    this.#comments = comments.toSorted((a, b) => a.start - b.start);
    this.#style = readStyle(root, text);
  }

  /** Returns the changed text, with the line ends of the original. */
  apply(): string {
    const { text: original } = this.#text;
    const crlf = original.includes('\r\n');
    // The sort is stable: of two insertions at one offset, the inner one was added first.
    const ordered = this.#splices.toSorted((a, b) => a.start - b.start);
    let [result, position] = ['', 0];
    for (const { start, end, text } of ordered) {
      result += original.slice(position, start) + (crlf ? text.replaceAll('\n', '\r\n') : text);
      position = Math.max(position, end);
    }
    return result + original.slice(position);
  }

  /** Changes `node` from `before` to `after`; calls `replace` if that is not possible inside the node. */
  reconcile(node: Tree, before: unknown, after: unknown, replace: Replace): void {
    if (isDeepStrictEqual(before, after)) return;
    if (node.kind === 'map' && isJsonObject(before) && isJsonObject(after)) {
      const isMerged = node.pairs.some(({ key }) => key === '<<');
      if (!isMerged && this.#reconcileMap(node, before, after)) return;
    }
    if (node.kind === 'list' && Array.isArray(before) && Array.isArray(after)) {
      if (this.#reconcileList(node, before, after)) return;
    }
    replace(after);
  }

  /** Adds a whole document to a text that has none. */
  fill(after: JsonObject): void {
    this.#insertLines(this.#text.text.length, renderYamlBlock(after, this.#style), 0);
  }

  /** Only a root in braces can be replaced as a whole without losing anything. */
  replaceRoot(root: Tree, after: unknown): void {
    if (root.kind === 'map' && root.flow) this.#put(root, this.#renderFlow(after, root));
  }

  #reconcileMap(node: MapTree, before: JsonObject, after: JsonObject): boolean {
    const removed = node.pairs.filter(({ key }) => !Object.hasOwn(after, key));
    const added = Object.keys(after).filter((key) => !Object.hasOwn(before, key));
    const removedSet = new Set(removed);
    if (removed.length === node.pairs.length || (node.flow && removed.length > 0 && added.length > 0)) return false;
    // Of a key that occurs twice, the last one counts; the one before stays as it is.
    const effective = new Set(new Map(node.pairs.map((pair) => [pair.key, pair])).values());
    for (const pair of node.pairs) {
      if (removedSet.has(pair) || !effective.has(pair)) continue;
      this.reconcile(pair.value, before[pair.key], after[pair.key], (value) => {
        this.#replaceValue(pair, node.flow, value);
      });
    }
    if (node.flow) this.#removeFlow(node.pairs, removed);
    else this.#removeLines(removed);
    const last = node.pairs.at(-1);
    if (last === undefined || added.length === 0) return true;
    if (node.flow) {
      for (const key of added) this.#insertFlow(last, `${JSON.stringify(key)}: ${this.#renderFlow(after[key], last)}`);
    } else this.#insertBlock(last, pick(after, added));
    return true;
  }

  #reconcileList(node: ListTree, before: readonly unknown[], after: readonly unknown[]): boolean {
    const [oldNames, newNames] = [namesOf(before), namesOf(after)];
    if (oldNames === undefined || newNames === undefined || oldNames.length === 0) return false;
    const [oldSet, newIndex] = [new Set(oldNames), new Map(newNames.map((name, index) => [name, index]))];
    const removed = node.items.filter((_, index) => !newIndex.has(oldNames[index] ?? ''));
    const added = after.filter((_, index) => !oldSet.has(newNames[index] ?? ''));
    const removedSet = new Set(removed);
    if (removed.length === node.items.length && (node.flow || added.length === 0)) return false;
    if (node.flow && removed.length > 0 && added.length > 0) return false;
    for (const [index, item] of node.items.entries()) {
      if (removedSet.has(item)) continue;
      this.reconcile(item.value, before[index], after[newIndex.get(oldNames[index] ?? '') ?? -1], (value) => {
        this.#replaceItem(item, node.flow, value);
      });
    }
    if (node.flow) this.#removeFlow(node.items, removed);
    else this.#removeLines(removed);
    const last = node.items.at(-1);
    if (last === undefined || added.length === 0) return true;
    if (node.flow) {
      for (const entry of added) this.#insertFlow(last, this.#renderFlow(entry, last));
    } else this.#insertBlock(last, added);
    return true;
  }

  /** Replaces what follows a key. The comments in between stay, on lines of their own. */
  #replaceValue({ key, start, colon, end }: PairTree, flow: boolean, value: unknown): void {
    if (flow) {
      this.#put({ start: colon, end }, ` ${this.#renderFlow(value, { start, end })}`);
      return;
    }
    const column = this.#text.column(start);
    const [first = '', ...others] = renderYamlBlock({ [key]: value }, this.#style);
    const valueEnd = this.#text.trimEnd(end);
    const until = others.length === 0 ? valueEnd : this.#text.endOfLine(valueEnd);
    const comments = this.#commentsIn(colon, until).map((comment) => `  ${comment}`);
    const lines = [...comments, ...others].map((line) => `\n${' '.repeat(column)}${line}`);
    this.#put({ start: colon, end: until }, first.slice(first.indexOf(':') + 1) + lines.join(''));
  }

  #replaceItem({ start, end, value: node }: ItemTree, flow: boolean, value: unknown): void {
    if (flow) {
      this.#put({ start, end }, this.#renderFlow(value, { start, end }));
      return;
    }
    const column = this.#text.column(start);
    const [first = '', ...others] = renderYamlBlock([value], this.#style);
    const lines = [first, ...others.map((line) => `${' '.repeat(column)}${line}`)];
    this.#put({ start, end: this.#text.trimEnd(Math.max(end, node.end)) }, lines.join('\n'));
  }

  /**
   * Removes parts of a block, line by line. The comments of a setting stay; the comments of a whole entry go with it.
   */
  #removeLines(removed: readonly (PairTree | ItemTree)[]): void {
    for (const part of removed) {
      const [start, column] = [this.#text.startOfLine(part.start), this.#text.column(part.start)];
      const end = this.#text.endOfBlock(part, column);
      const comments = 'key' in part ? this.#commentsIn(start, end) : [];
      this.#put({ start, end }, comments.map((comment) => `${' '.repeat(column)}${comment}\n`).join(''));
    }
  }

  /** The index of the first comment at `offset` or after it. */
  #findComment(offset: number): number {
    let [low, high] = [0, this.#comments.length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#comments[middle]?.start ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #commentsIn(from: number, to: number): string[] {
    const first = this.#findComment(from);
    const inside = this.#comments.slice(first, this.#findComment(to)).filter(({ end }) => end <= to);
    return inside.map(({ start, end }) => this.#text.text.slice(start, end).trimEnd());
  }

  /** Removes parts of a flow with their commas. */
  #removeFlow(all: readonly Span[], removed: readonly Span[]): void {
    const removedSet = new Set(removed);
    let lastIndex = -1;
    for (const [index, part] of all.entries()) {
      if (removedSet.has(part)) continue;
      const from = all[lastIndex + 1];
      // Parts between two that stay go with the commas after them.
      if (lastIndex + 1 < index && from !== undefined) this.#put({ start: from.start, end: part.start }, '');
      lastIndex = index;
    }
    const [lastRemaining, last] = [all[lastIndex], all.at(-1)];
    if (lastRemaining !== undefined && last !== undefined && lastIndex < all.length - 1) {
      this.#put({ start: lastRemaining.end, end: last.end }, '');
    }
  }

  #insertFlow(after: Span, text: string): void {
    const separator = this.#text.startsLine(after.start) ? `,\n${this.#text.indentOf(after.start)}` : ', ';
    this.#put({ start: after.end, end: after.end }, separator + text);
  }

  /** Renders JSON; over several lines if the part at `neighbor` starts a line. */
  #renderFlow(value: unknown, neighbor: Span): string {
    const indent = this.#text.indentOf(neighbor.start);
    const pretty = JSON.stringify(value, null, 2);
    if (this.#text.startsLine(neighbor.start) && indent !== '') return pretty.replaceAll('\n', `\n${indent}`);
    return pretty.replaceAll(/\n */g, ' ');
  }

  #insertBlock(after: Span, data: unknown): void {
    const column = this.#text.column(after.start);
    this.#insertLines(this.#text.endOfBlock(after, column), renderYamlBlock(data, this.#style), column);
  }

  #insertLines(at: number, lines: readonly string[], column: number): void {
    const text = lines.map((line) => `${' '.repeat(column)}${line}`).join('\n');
    const previous = this.#text.text[at - 1];
    // If the file does not end with a line feed, the changed file does not either.
    const isMidLine = at > 0 && previous !== '\n' && previous !== BOM;
    this.#put({ start: at, end: at }, isMidLine ? `\n${text}` : `${text}\n`);
  }

  #put({ start, end }: Span, text: string): void {
    this.#splices.push({ start, end, text });
  }
}

/**
 * Changes the content of the first document of a text to `after`. Anchors and merge keys can prevent that: the caller
 * must check the result.
 */
export function rewriteYaml(source: string, { documents, comments }: StreamTree, after: JsonObject): string {
  const [first] = documents;
  const root = first?.root;
  const changes = new Changes(new YamlText(source), root, comments);
  if (first === undefined || root === undefined || first.data === null) changes.fill(after);
  else {
    changes.reconcile(root, first.data, after, (value) => {
      changes.replaceRoot(root, value);
    });
  }
  return changes.apply();
}
