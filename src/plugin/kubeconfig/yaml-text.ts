/** Finds lines, columns and indentation in a YAML text. */
import type { Span } from './yaml-tree.ts';

export const BOM = '\uFEFF';

/** A text, with questions about offsets in it. */
export class YamlText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  startOfLine(offset: number): number {
    const start = this.text.lastIndexOf('\n', offset - 1) + 1;
    return start === 0 && this.text.startsWith(BOM) ? BOM.length : start;
  }

  /** The end of the line that contains `offset`, before its line feed. */
  endOfLine(offset: number): number {
    const feed = this.text.indexOf('\n', offset);
    if (feed < 0) return this.text.length;
    return this.text[feed - 1] === '\r' && feed > offset ? feed - 1 : feed;
  }

  column(offset: number): number {
    return offset - this.startOfLine(offset);
  }

  /** The white space at the start of the line that contains `offset`. */
  indentOf(offset: number): string {
    return /^[ \t]*/.exec(this.text.slice(this.startOfLine(offset), offset))?.[0] ?? '';
  }

  /** Whether only white space precedes `offset` in its line. */
  startsLine(offset: number): boolean {
    return this.text.slice(this.startOfLine(offset), offset).trim() === '';
  }

  /** Moves `end` back over line ends. */
  trimEnd(end: number): number {
    let trimmed = end;
    while (trimmed > 0 && '\r\n'.includes(this.text.charAt(trimmed - 1))) trimmed -= 1;
    return trimmed;
  }

  /** The end of the lines of a part, including the comments below it that are indented deeper than `column`. */
  endOfBlock({ start, end }: Span, column: number): number {
    let blockEnd = this.#startOfNextLine(Math.max(start, this.trimEnd(end)));
    for (let next = blockEnd; next < this.text.length;) {
      const line = this.text.slice(next, this.#startOfNextLine(next));
      const indent = /^( *)#/.exec(line)?.[1];
      if (indent === undefined && line.trim() !== '') break;
      next = this.#startOfNextLine(next);
      if (indent !== undefined && indent.length <= column) break;
      if (indent !== undefined) blockEnd = next;
    }
    return blockEnd;
  }

  #startOfNextLine(offset: number): number {
    const feed = this.text.indexOf('\n', offset);
    return feed < 0 ? this.text.length : feed + 1;
  }
}
