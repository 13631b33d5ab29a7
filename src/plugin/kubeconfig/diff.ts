/** Renders a unified diff of two texts. */
import { structuredPatch } from 'diff';
import type { StructuredPatchHunk } from 'diff';

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

const CONTEXT_LINES = 3;

/** The time to find the shortest diff grows with the square of its lines. */
const MAX_SHORTEST_LINES = 2_000;

/** The diff of texts with very many changes: one hunk with all lines but those at both ends that are the same. */
function replaceMiddle(before: readonly string[], after: readonly string[]): StructuredPatchHunk {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let same = 0;
  while (same < shorter - start && before.at(-1 - same) === after.at(-1 - same)) same += 1;
  const first = Math.max(0, start - CONTEXT_LINES);
  const last = Math.min(same, CONTEXT_LINES);
  const [oldEnd, newEnd] = [before.length - same, after.length - same];
  return {
    oldStart: first + 1,
    newStart: first + 1,
    oldLines: oldEnd + last - first,
    newLines: newEnd + last - first,
    lines: [
      ...before.slice(first, start).map((line) => ` ${line}`),
      ...before.slice(start, oldEnd).map((line) => `-${line}`),
      ...after.slice(start, newEnd).map((line) => `+${line}`),
      ...before.slice(oldEnd, oldEnd + last).map((line) => ` ${line}`),
    ],
  };
}

/** Returns the unified diff of two texts, empty if they are equal. */
export function makeDiff(before: DiffSide, after: DiffSide): string {
  const shortest = structuredPatch(before.name, after.name, join(before.lines), join(after.lines), '', '', {
    context: CONTEXT_LINES,
    maxEditLength: MAX_SHORTEST_LINES,
  });
  const hunks = shortest?.hunks ?? [replaceMiddle(before.lines, after.lines)];
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
