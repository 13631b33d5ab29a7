/**
 * Changing a YAML text so that it says something else, by replacing no more than the pieces that say so: everything else stays
 * as it is to the byte.
 */
import { isDeepStrictEqual } from 'node:util';
import { isJsonObject } from '../../shared/base/json.ts';
import type { JsonObject } from '../../shared/base/json.ts';
import type { ItemTree, ListTree, MapTree, PairTree, Span, StreamTree, Tree } from './yaml-tree.ts';
import { renderYamlBlock } from './yaml.ts';
import type { BlockStyle } from './yaml.ts';

/** A piece that gives way to another. */
interface Splice extends Span {
  readonly text: string;
}

type Replace = (value: unknown) => void;

const BOM = '\uFEFF';

/** Lists of things with names, as a kubeconfig has them. */
function namesOf(list: readonly unknown[]): string[] | undefined {
  const names = list.map((entry) => (isJsonObject(entry) ? entry['name'] : undefined));
  const texts = names.filter((name) => typeof name === 'string');
  return texts.length === names.length && new Set(texts).size === texts.length ? texts : undefined;
}

function pick(from: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, from[key]]));
}

function findStyle(root: Tree | undefined, column: (offset: number) => number): BlockStyle {
  const pairs = root?.kind === 'map' && !root.flow ? root.pairs : [];
  for (const pair of pairs) {
    const { value } = pair;
    const [first] = value.kind === 'list' && !value.flow ? value.items : [];
    if (first !== undefined) return { indentLists: column(first.start) > column(pair.start) };
  }
  return { indentLists: false };
}

/** The changes of one text, which lie apart. */
class Changes {
  readonly #text: string;
  readonly #comments: readonly Span[];
  readonly #style: BlockStyle;
  readonly #splices: Splice[] = [];

  constructor(text: string, root: Tree | undefined, comments: readonly Span[]) {
    this.#text = text;
    this.#comments = comments;
    this.#style = findStyle(root, (offset) => this.#column(offset));
  }

  /** Applies them, in the file's own line ends. */
  apply(): string {
    const crlf = this.#text.includes('\r\n');
    // Stable: of two that insert at one place, the inner one was put first.
    const ordered = this.#splices.toSorted((one, other) => one.start - other.start);
    let [result, done] = ['', 0];
    for (const { start, end, text } of ordered) {
      result += this.#text.slice(done, start) + (crlf ? text.replaceAll('\n', '\r\n') : text);
      done = Math.max(done, end);
    }
    return result + this.#text.slice(done);
  }

  /** Makes `node`, which says `before`, say `after`; `replace` does it where that cannot be done inside. */
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

  /** Puts a whole document where there was none. */
  fill(after: JsonObject): void {
    const { length } = this.#text;
    this.#insertLines(length, renderYamlBlock(after, this.#style), 0);
  }

  /** Only braces can be replaced whole without a loss. */
  replaceRoot(root: Tree, after: unknown): void {
    if (root.kind === 'map' && root.flow) this.#put(root, this.#renderFlow(after, root));
  }

  #reconcileMap(node: MapTree, before: JsonObject, after: JsonObject): boolean {
    const removed = node.pairs.filter(({ key }) => !Object.hasOwn(after, key));
    const added = Object.keys(after).filter((key) => !Object.hasOwn(before, key));
    if (removed.length === node.pairs.length || (node.flow && removed.length > 0 && added.length > 0)) return false;
    for (const pair of node.pairs) {
      if (removed.includes(pair)) continue;
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
    } else {
      const column = this.#column(last.start);
      this.#insertLines(this.#endOfBlock(last, column), renderYamlBlock(pick(after, added), this.#style), column);
    }
    return true;
  }

  #reconcileList(node: ListTree, before: readonly unknown[], after: readonly unknown[]): boolean {
    const [were, are] = [namesOf(before), namesOf(after)];
    if (were === undefined || are === undefined || were.length === 0) return false;
    const removed = node.items.filter((_, index) => !are.includes(were[index] ?? ''));
    const added = after.filter((_, index) => !were.includes(are[index] ?? ''));
    if (removed.length === node.items.length && (node.flow || added.length === 0)) return false;
    if (node.flow && removed.length > 0 && added.length > 0) return false;
    for (const [index, item] of node.items.entries()) {
      if (removed.includes(item)) continue;
      this.reconcile(item.value, before[index], after[are.indexOf(were[index] ?? '')], (value) => {
        this.#replaceItem(item, node.flow, value);
      });
    }
    if (node.flow) this.#removeFlow(node.items, removed);
    else this.#removeLines(removed);
    const last = node.items.at(-1);
    if (last === undefined || added.length === 0) return true;
    if (node.flow) {
      for (const entry of added) this.#insertFlow(last, this.#renderFlow(entry, last));
    } else {
      const column = this.#column(last.start);
      this.#insertLines(this.#endOfBlock(last, column), renderYamlBlock(added, this.#style), column);
    }
    return true;
  }

  /** Replaces what follows a key; comments in between stay, on lines of their own. */
  #replaceValue({ key, start, colon, end }: PairTree, flow: boolean, value: unknown): void {
    if (flow) {
      this.#put({ start: colon, end }, ` ${this.#renderFlow(value, { start, end })}`);
      return;
    }
    const column = this.#column(start);
    const [first = '', ...others] = renderYamlBlock({ [key]: value }, this.#style);
    const valueEnd = this.#trimEnd(end);
    const until = others.length === 0 ? valueEnd : this.#endOfLine(valueEnd);
    const comments = this.#commentsIn(colon, until).map((comment) => `  ${comment}`);
    const lines = [...comments, ...others].map((line) => `\n${' '.repeat(column)}${line}`);
    this.#put({ start: colon, end: until }, first.slice(first.indexOf(':') + 1) + lines.join(''));
  }

  #replaceItem({ start, end, value: node }: ItemTree, flow: boolean, value: unknown): void {
    if (flow) {
      this.#put({ start, end }, this.#renderFlow(value, { start, end }));
      return;
    }
    const column = this.#column(start);
    const [first = '', ...others] = renderYamlBlock([value], this.#style);
    const lines = [first, ...others.map((line) => `${' '.repeat(column)}${line}`)];
    this.#put({ start, end: this.#trimEnd(Math.max(end, node.end)) }, lines.join('\n'));
  }

  /** Removes pieces of a block, line by line; the comments of settings stay, those of whole entries go with them. */
  #removeLines(removed: readonly (PairTree | ItemTree)[]): void {
    for (const piece of removed) {
      const [start, column] = [this.#startOfLine(piece.start), this.#column(piece.start)];
      const end = this.#endOfBlock(piece, column);
      const comments = 'key' in piece ? this.#commentsIn(start, end) : [];
      this.#put({ start, end }, comments.map((comment) => `${' '.repeat(column)}${comment}\n`).join(''));
    }
  }

  #commentsIn(from: number, to: number): string[] {
    const inside = this.#comments.filter(({ start, end }) => start >= from && end <= to);
    return inside.map(({ start, end }) => this.#text.slice(start, end).trimEnd());
  }

  /** Removes pieces of a flow, with their commas. */
  #removeFlow(all: readonly Span[], removed: readonly Span[]): void {
    let kept = -1;
    for (const [index, piece] of all.entries()) {
      if (removed.includes(piece)) continue;
      const from = all[kept + 1];
      // Those between two that stay go with the commas after them.
      if (kept + 1 < index && from !== undefined) this.#put({ start: from.start, end: piece.start }, '');
      kept = index;
    }
    const [lastKept, last] = [all[kept], all.at(-1)];
    if (lastKept !== undefined && last !== undefined && kept < all.length - 1) {
      this.#put({ start: lastKept.end, end: last.end }, '');
    }
  }

  #insertFlow(after: Span, text: string): void {
    const indent = this.#indentOf(after.start);
    const before = this.#text.slice(this.#startOfLine(after.start), after.start);
    this.#put({ start: after.end, end: after.end }, before.trim() === '' ? `,\n${indent}${text}` : `, ${text}`);
  }

  /** As JSON; over several lines where what stands at `beside` has a line of its own. */
  #renderFlow(value: unknown, beside: Span): string {
    const indent = this.#indentOf(beside.start);
    const before = this.#text.slice(this.#startOfLine(beside.start), beside.start);
    const pretty = JSON.stringify(value, null, 2);
    if (before.trim() === '' && indent !== '') return pretty.replaceAll('\n', `\n${indent}`);
    return pretty.replaceAll(/\n */g, ' ');
  }

  #insertLines(at: number, lines: readonly string[], column: number): void {
    const text = lines.map((line) => `${' '.repeat(column)}${line}`).join('\n');
    // A file without a line feed at its end stays one.
    const bare = at > 0 && this.#text[at - 1] !== '\n' && this.#text[at - 1] !== BOM;
    this.#put({ start: at, end: at }, bare ? `\n${text}` : `${text}\n`);
  }

  #put({ start, end }: Span, text: string): void {
    this.#splices.push({ start, end, text });
  }

  #startOfLine(offset: number): number {
    const start = this.#text.lastIndexOf('\n', offset - 1) + 1;
    return start === 0 && this.#text.startsWith(BOM) ? BOM.length : start;
  }

  /** Where the line ends that `offset` is in; before its line feed. */
  #endOfLine(offset: number): number {
    const feed = this.#text.indexOf('\n', offset);
    if (feed < 0) return this.#text.length;
    return this.#text[feed - 1] === '\r' && feed > offset ? feed - 1 : feed;
  }

  #column(offset: number): number {
    return offset - this.#startOfLine(offset);
  }

  #indentOf(offset: number): string {
    return /^[ \t]*/.exec(this.#text.slice(this.#startOfLine(offset), offset))?.[0] ?? '';
  }

  #trimEnd(end: number): number {
    let trimmed = end;
    while (trimmed > 0 && '\r\n'.includes(this.#text.charAt(trimmed - 1))) trimmed -= 1;
    return trimmed;
  }

  /** Where the lines of a piece end, with the comments below it that stand further in than it does. */
  #endOfBlock({ start, end }: Span, column: number): number {
    const after = (offset: number): number => {
      const feed = this.#text.indexOf('\n', offset);
      return feed < 0 ? this.#text.length : feed + 1;
    };
    let [done, next] = [after(Math.max(start, this.#trimEnd(end))), 0];
    for (next = done; next < this.#text.length;) {
      const line = this.#text.slice(next, after(next));
      const indent = /^( *)#/.exec(line)?.[1];
      if (indent === undefined && line.trim() !== '') break;
      next = after(next);
      if (indent !== undefined && indent.length <= column) break;
      if (indent !== undefined) done = next;
    }
    return done;
  }
}

/**
 * Makes the first document of a text say `after`. Whether it does is for the caller to see: anchors and merge keys may be in the
 * way.
 */
export function rewriteYaml(text: string, { documents, comments }: StreamTree, after: JsonObject): string {
  const [first] = documents;
  const changes = new Changes(text, first?.root, comments);
  const root = first?.root;
  if (first === undefined || root === undefined || first.data === null) changes.fill(after);
  else {
    changes.reconcile(root, first.data, after, (value) => {
      changes.replaceRoot(root, value);
    });
  }
  return changes.apply();
}
