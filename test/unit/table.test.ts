// The columns of tables line up on a terminal.

import t from 'tap';
import { renderPairs, renderTable } from '../../src/plugin/commands/table.ts';

void t.test('wide characters and combining characters line up', (t) => {
  const names = ['web', '开发环境', 'テスト', '프로젝트', 'cafe\u0301', '🚀 launch', 'ﾃｽﾄ', 'demo'];
  const lines = renderTable(
    ['NAME', 'ID'],
    names.map((name, index) => [name, `id-${String(index)}`]),
  );
  // Columns as wcwidth(3) counts them.
  const spaces = [6, 1, 3, 1, 5, 0, 6, 5].map((count) => ' '.repeat(count));
  t.strictSame(lines, [
    `NAME${' '.repeat(7)}ID`,
    ...names.map((name, index) => `${name}${spaces[index] ?? ''}  id-${String(index)}`),
  ]);
  t.end();
});

void t.test('pairs with wide names line up, and a cell that is escaped counts as it is shown', (t) => {
  t.strictSame(
    renderPairs([
      ['名前', 'alice'],
      ['Name', 'alice'],
      ['No', undefined],
    ]),
    ['名前  alice', 'Name  alice'],
  );
  t.strictSame(renderTable(['A', 'B'], [['\u001b[31m', 'x']]), ['A           B', '\\u{1b}[31m  x']);
  t.end();
});
