/** Renders a unified diff of two texts. */
import { structuredPatch } from 'diff';

/** A text as it is compared and as it is shown. */
export interface DiffSide {
  readonly name: string;
  readonly lines: readonly string[];
  /** The same lines with secrets redacted. */
  readonly redactedLines: readonly string[];
}

const join = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** The range of a hunk in one of the texts; an empty range is named by the line before it. */
const formatRange = (start: number, count: number): string =>
  `${String(count === 0 ? start - 1 : start)},${String(count)}`;

/** Returns the unified diff of two texts, empty if they are equal. */
export function makeDiff(before: DiffSide, after: DiffSide): string {
  const { hunks } = structuredPatch(before.name, after.name, join(before.lines), join(after.lines), '', '', {
    context: 3,
  });
  if (hunks.length === 0) return '';
  const body = hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => {
    let [oldIndex, newIndex] = [oldStart - 1, newStart - 1];
    const redacted = lines.map((line) => {
      const marker = line.charAt(0);
      const text = marker === '+' ? after.redactedLines[newIndex] : before.redactedLines[oldIndex];
      if (marker !== '+') oldIndex += 1;
      if (marker !== '-') newIndex += 1;
      return marker + (text ?? '');
    });
    return [`@@ -${formatRange(oldStart, oldLines)} +${formatRange(newStart, newLines)} @@`, ...redacted];
  });
  return [`--- ${before.name}`, `+++ ${after.name}`, ...body].join('\n');
}
