/** Interprets what a program wrote to a terminal, with a terminal emulator. */
import headless from '@xterm/headless';
import type { IBuffer, IBufferCell } from '@xterm/headless';

/** Consecutive characters that look the same. */
export interface ScreenRun {
  readonly column: number;
  readonly text: string;
  readonly style: string;
}

/** A line from left to right, without spaces at its end. */
export type ScreenLine = readonly ScreenRun[];

/** The colors of the plugin (`src/plugin/commands/colors.ts`), by their number in the palette. */
const COLORS: Readonly<Record<number, string>> = { 1: 'red', 2: 'green', 3: 'yellow' };

function nameStyle(cell: IBufferCell): string {
  const color = cell.isFgPalette() ? COLORS[cell.getFgColor()] : undefined;
  return [color, cell.isBold() ? 'bold' : undefined, cell.isDim() ? 'dim' : undefined]
    .filter((name) => name !== undefined)
    .join(' ');
}

function readLine(buffer: IBuffer, row: number): ScreenLine {
  const line = buffer.getLine(row);
  if (line === undefined) return [];
  const runs: { column: number; text: string; style: string }[] = [];
  const end = line.translateToString(true).length;
  for (let column = 0; column < end; column += 1) {
    const cell = line.getCell(column);
    if (cell === undefined || cell.getWidth() === 0) continue;
    const [text, style] = [cell.getChars() || ' ', nameStyle(cell)];
    const last = runs.at(-1);
    if (last?.style === style) last.text += text;
    else runs.push({ column, text, style });
  }
  return runs;
}

/** Lists the lines that the output leaves on a terminal that is high enough. */
export async function renderScreen(output: string, columns: number): Promise<readonly ScreenLine[]> {
  const terminal = new headless.Terminal({ cols: columns, rows: 200, allowProposedApi: true });
  await new Promise<void>((resolve) => {
    terminal.write(output, resolve);
  });
  const { active } = terminal.buffer;
  const lines = Array.from({ length: active.cursorY + 1 }, (_, row) => readLine(active, row));
  terminal.dispose();
  return lines;
}
