import { makePrintable } from '../../shared/base/terminal-text.ts';

const GAP = '  ';

/** Longest cell in characters. A server's name must not make every row as wide as itself. */
const MAX_CELL = 512;

/** Renders a row of headings and rows of cells in columns, without spaces at the ends of lines. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [headings, ...rows].map((row) => row.map((cell) => makePrintable(cell, MAX_CELL)));
  const widths = headings.map((_, column) => {
    return cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0);
  });
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(GAP));
  return lines.map((line) => line.trimEnd());
}

/** Renders names and values, one pair to a line. A pair without a value is left out. */
export function renderPairs(pairs: readonly (readonly [name: string, value: string | undefined])[]): string[] {
  const present = pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [[makePrintable(name, MAX_CELL), value] as const],
  );
  const width = present.reduce((longest, [name]) => Math.max(longest, name.length), 0);
  return present.map(([name, value]) => `${name.padEnd(width)}${GAP}${value}`.trimEnd());
}
