import { makePrintable } from '../../shared/base/text.ts';

const GAP = '  ';

/** Renders a row of headings and rows of cells in columns, without spaces at the ends of lines. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map(makePrintable));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(GAP));
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** Renders names and values, one pair to a line. A pair without a value is left out. */
export function renderPairs(pairs: readonly (readonly [name: string, value: string | undefined])[]): string {
  const present = pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${name.padEnd(width)}${GAP}${makePrintable(value)}`.trimEnd()).join('\n');
}
