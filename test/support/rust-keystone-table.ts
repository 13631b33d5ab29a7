/** The table of docs/auth/kubernetes.md: what works with which version of Keystone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

/** The cells of a column by the text of their row, without footnotes. */
type TableColumn = ReadonlyMap<string, string>;

/** What the rows of `v4k8s` and `v4jwt` continue with. */
export const WEBHOOK_ROW = '… and the webhook validates the token';

const PAGE = join(import.meta.dirname, '../../docs/auth/kubernetes.md');

function splitRow(line: string): string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.replaceAll(/[¹²³`]/g, '').trim());
}

/**
 * Reads a column. A row that starts with an ellipsis continues the one before it.
 *
 * @throws Error if no column has that heading
 */
function readTableColumn(heading: string): TableColumn {
  const lines = readFileSync(PAGE, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const [headings = [], , ...rows] = lines.map(splitRow);
  const column = headings.findIndex((text) => text.startsWith(heading));
  if (column < 0) throw new Error(`the table has no column ${heading}`);
  const cells = new Map<string, string>();
  let whole = '';
  for (const row of rows) {
    const [what = ''] = row;
    if (!what.startsWith('…')) whole = what;
    cells.set(what === whole ? whole : `${whole} ${what}`, row[column] ?? '');
  }
  return cells;
}

/**
 * Checks a column.
 *
 * @param shown whether each row works, as far as that was tested
 */
export function checkTableColumn(t: Test, heading: string, shown: ReadonlyMap<string, boolean>): void {
  const column = readTableColumn(heading);
  for (const row of shown.keys()) t.ok(column.has(row), `the table has the row "${row}"`);
  for (const [row, cell] of column) {
    const says = cell === 'not tested' ? undefined : !/^no\b/.test(cell);
    t.equal(says, shown.get(row), `${heading}, ${row}: ${cell}`);
  }
}
