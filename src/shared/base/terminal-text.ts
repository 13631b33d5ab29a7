/**
 * The only way for text to a terminal. The host writes nothing but {@link TerminalText}, and only the functions of this
 * file make it: what others wrote is escaped here, and colors of our own are added after that.
 */

declare const isTerminalText: unique symbol;

/** Text for stdout, stderr or a prompt, without anything that could change the terminal or is invisible. */
export type TerminalText = string & { readonly [isTerminalText]: true };

/**
 * Controls, format characters (bidirectional, zero-width, tags), halves of surrogate pairs, private and unassigned
 * characters, line separators, and everything that is drawn as nothing (fillers, variation selectors, blank patterns).
 * A function, because the expression alone costs a cache hit milliseconds, which does not need it.
 */
const makeUnprintable = (): RegExp => /[\p{C}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]/gu;

/** The same, except the line feeds between the values of JSON. */
const makeUnprintableInJson = (): RegExp => /(?!\n)[\p{C}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]/gu;

/** The usual text. */
const PLAIN = /^[ -~\n]*$/;

/** Longest line in UTF-16 characters: twice the longest token. */
const MAX_LINE = 32 * 1024;

/** Shortens a long text in the middle, because a message ends with what to do. */
export function shortenMiddle(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const end = Math.floor(maxLength / 4);
  return `${text.slice(0, maxLength - end - 1)}…${text.slice(-end)}`;
}

/** Makes one line of a text: escapes every character that could change a terminal, start a new line, or hide. */
export function makePrintable(text: string, maxLength = MAX_LINE): TerminalText {
  const escape = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  return shortenMiddle(text, maxLength).replace(makeUnprintable(), escape) as TerminalText;
}

/** Whether a terminal shows the whole text as it is. */
export const isPrintable = (text: string): boolean => text.search(makeUnprintable()) < 0;

/** How a part of a line stands out. */
export type Style = 'green' | 'red' | 'yellow' | 'bold' | 'dim';

/** A part of a line; the style shows only on a terminal with colors. */
export interface StyledText {
  readonly style: Style;
  readonly text: string;
}

/** One line: a text, or parts that follow each other. */
export type Line = string | readonly (string | StyledText)[];

/** Styles a text that is already printable. */
export type Paint = (style: Style, text: TerminalText) => string;

/** Renders lines, each with a line feed. */
export function renderLines(lines: readonly Line[], paint: Paint = (_, text) => text): TerminalText {
  const renderPart = (part: string | StyledText): string =>
    typeof part === 'string' ? makePrintable(part) : paint(part.style, makePrintable(part.text));
  const rendered = lines.map((line) =>
    typeof line === 'string' ? makePrintable(line) : line.map(renderPart).join(''),
  );
  return rendered.map((line) => `${line}\n`).join('') as TerminalText;
}

function escapeUnits(text: string): string {
  return Array.from({ length: text.length }, (_, index) => {
    return `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }).join('');
}

/** Escapes the characters in JSON that a terminal could interpret. The data stays the same. */
export function escapeJson(json: string): TerminalText {
  return (PLAIN.test(json) ? json : json.replace(makeUnprintableInJson(), escapeUnits)) as TerminalText;
}

/**
 * Renders data as JSON, with a line feed.
 *
 * @param indent the spaces of each level; 0 is one line
 */
export function renderJson(data: unknown, indent = 0): TerminalText {
  return escapeJson(`${JSON.stringify(data, null, indent)}\n`);
}
