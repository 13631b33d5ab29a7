/** What changes between two texts, for people: a unified diff. */
import { structuredPatch } from 'diff';

/** A text as it is compared, and as it is shown. */
export interface DiffSide {
  readonly name: string;
  readonly lines: readonly string[];
  /** The same lines without what nobody may see. */
  readonly redactedLines: readonly string[];
}

const join = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** Of a hunk in one of the texts; where there is nothing it is named by the line before it. */
const describeRange = (start: number, count: number): string =>
  `${String(count === 0 ? start - 1 : start)},${String(count)}`;

/** The unified diff of two texts; empty where they are the same. */
export function makeDiff(before: DiffSide, after: DiffSide): string {
  const { hunks } = structuredPatch(before.name, after.name, join(before.lines), join(after.lines), '', '', {
    context: 3,
  });
  if (hunks.length === 0) return '';
  const body = hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => {
    let [old, changed] = [oldStart - 1, newStart - 1];
    const shown = lines.map((line) => {
      const mark = line.charAt(0);
      const text = mark === '+' ? after.redactedLines[changed] : before.redactedLines[old];
      if (mark !== '+') old += 1;
      if (mark !== '-') changed += 1;
      return mark + (text ?? '');
    });
    return [`@@ -${describeRange(oldStart, oldLines)} +${describeRange(newStart, newLines)} @@`, ...shown];
  });
  return [`--- ${before.name}`, `+++ ${after.name}`, ...body].join('\n');
}
