import stringWidth from 'string-width';
import { makePrintable } from '../../shared/base/terminal-text.ts';

const GAP = '  ';

/** Longest cell in characters. A server's name must not make every row as wide as itself. */
const MAX_CELL = 512;

/** Fills a cell with spaces. Chinese, Japanese and Korean characters and emoji are two columns wide. */
function fill(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - stringWidth(cell)));
}

/** Renders a row of headings and rows of cells in columns, without spaces at the ends of lines. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [headings, ...rows].map((row) => row.map((cell) => makePrintable(cell, MAX_CELL)));
  const widths = headings.map((_, column) => {
    return cells.reduce((width, row) => Math.max(width, stringWidth(row[column] ?? '')), 0);
  });
  const lines = cells.map((row) => row.map((cell, column) => fill(cell, widths[column] ?? 0)).join(GAP));
  return lines.map((line) => line.trimEnd());
}

/** Renders names and values, one pair to a line. A pair without a value is left out. */
export function renderPairs(pairs: readonly (readonly [name: string, value: string | undefined])[]): string[] {
  const present = pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [[makePrintable(name, MAX_CELL), value] as const],
  );
  const width = present.reduce((longest, [name]) => Math.max(longest, stringWidth(name)), 0);
  return present.map(([name, value]) => `${fill(name, width)}${GAP}${value}`.trimEnd());
}
