/** What changes between two texts, for people: a unified diff. */

const CONTEXT = 3;

/** Beyond it no shortest way is looked for: that takes memory by the square. */
const MOST_CHANGES = 2_000;

/** One line of the longer story: it stays, goes or comes. */
interface Step {
  readonly mark: ' ' | '-' | '+';
  /** Its place in the old text and in the new one, from 0: where it stands, or where it would. */
  readonly old: number;
  readonly new: number;
}

/** E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986): the fewest lines that go and come. */
function findSteps(before: readonly string[], after: readonly string[]): Step[] {
  const furthest = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let distance = 0; distance <= MOST_CHANGES; distance += 1) {
    trace.push(new Map(furthest));
    for (let diagonal = -distance; diagonal <= distance; diagonal += 2) {
      const down = furthest.get(diagonal + 1) ?? -1;
      const right = furthest.get(diagonal - 1) ?? -1;
      const isDown = diagonal === -distance || (diagonal !== distance && right < down);
      let x = isDown ? down : right + 1;
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x += 1;
      furthest.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return walkBack(before.length, after.length, trace);
    }
  }
  return [
    ...before.map((_, index): Step => ({ mark: '-', old: index, new: 0 })),
    ...after.map((_, index): Step => ({ mark: '+', old: before.length, new: index })),
  ];
}

function walkBack(oldEnd: number, newEnd: number, trace: readonly ReadonlyMap<number, number>[]): Step[] {
  const steps: Step[] = [];
  let [x, y] = [oldEnd, newEnd];
  for (let distance = trace.length - 1; distance >= 0; distance -= 1) {
    const furthest = trace[distance] ?? new Map<number, number>();
    const diagonal = x - y;
    const down = furthest.get(diagonal + 1) ?? -1;
    const right = furthest.get(diagonal - 1) ?? -1;
    const isDown = diagonal === -distance || (diagonal !== distance && right < down);
    const from = isDown ? diagonal + 1 : diagonal - 1;
    const fromX = Math.max(0, isDown ? down : right);
    const fromY = distance === 0 ? 0 : fromX - from;
    while (x > fromX && y > fromY) {
      x -= 1;
      y -= 1;
      steps.push({ mark: ' ', old: x, new: y });
    }
    if (distance === 0) break;
    if (isDown) y -= 1;
    else x -= 1;
    steps.push({ mark: isDown ? '+' : '-', old: x, new: y });
  }
  return steps.reverse();
}

/** Groups of steps that lie close enough to be shown together, with their context. */
function findHunks(steps: readonly Step[]): Step[][] {
  const hunks: Step[][] = [];
  let until = -1;
  for (const [index, { mark }] of steps.entries()) {
    if (mark === ' ') continue;
    const from = Math.max(0, index - CONTEXT);
    const hunk = from > until ? [] : hunks.pop();
    hunks.push([...(hunk ?? []), ...steps.slice(Math.max(from, until), index + 1 + CONTEXT)]);
    until = Math.min(steps.length, index + 1 + CONTEXT);
  }
  return hunks;
}

function describeRange(steps: readonly Step[], side: 'old' | 'new', other: '+' | '-'): string {
  const count = steps.filter(({ mark }) => mark !== other).length;
  const first = steps[0]?.[side] ?? 0;
  // An empty range is named by the line before it.
  return `${String(count === 0 ? first : first + 1)},${String(count)}`;
}

/** A text as it is compared, and as it is shown. */
export interface DiffSide {
  readonly name: string;
  readonly lines: readonly string[];
  /** The same lines without what nobody may see. */
  readonly shown: readonly string[];
}

/** The unified diff of two texts; empty where they are the same. */
export function makeDiff(before: DiffSide, after: DiffSide): string {
  const hunks = findHunks(findSteps(before.lines, after.lines));
  if (hunks.length === 0) return '';
  const body = hunks.flatMap((steps) => [
    `@@ -${describeRange(steps, 'old', '+')} +${describeRange(steps, 'new', '-')} @@`,
    ...steps.map((step) => step.mark + ((step.mark === '+' ? after.shown[step.new] : before.shown[step.old]) ?? '')),
  ]);
  return [`--- ${before.name}`, `+++ ${after.name}`, ...body].join('\n');
}
