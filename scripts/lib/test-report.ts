// Reads tap's output for `npm test`, prints failures and skipped tests, and counts. tap's own readable reporters are
// made for terminals: in a pipe, they repeat their whole screen, and they show a crashed file as skipped.

import { inspect } from 'node:util';

import { Parser } from 'tap-parser';
import type { Result } from 'tap-parser';

/** The number of assertions by result. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Subtest {
  readonly failedBefore: number;
  assertions: number;
}

/** Diagnostics that repeat other output (the stack contains the position), or that are about tap itself. */
const hiddenDiagnostics = new Set([
  'at',
  'source',
  'compare',
  'test',
  'tapCaught',
  'stdio',
  'cwd',
  'externalID',
  'command',
  'args',
]);

/**
 * Returns a stream for tap's output. It prints a line for each file, failure and skipped test, and updates `counts`.
 * The line of a subtest counts only if its assertions do not show the result: it was skipped or todo, or it failed
 * without a failed assertion, as with a file that crashes.
 */
export function reportTap(counts: Counts): Parser {
  const parser = new Parser();
  follow(parser, counts, '');
  return parser;
}

/** Formats the last line of `npm test`. */
export function describeCounts({ passed, failed, skipped }: Counts): string {
  const counts = `${String(passed)} passed, ${String(failed)} failed`;
  return skipped > 0 ? `${counts}, ${String(skipped)} skipped` : counts;
}

function follow(parser: Parser, counts: Counts, parent: string): void {
  let finishedSubtest: Subtest | undefined;
  parser.on('child', (child: Parser) => {
    const subtest = { failedBefore: counts.failed, assertions: 0 };
    child.on('assert', () => (subtest.assertions += 1));
    finishedSubtest = subtest;
    follow(child, counts, `${parent}${child.name} > `);
  });
  // Output of tests and tap that is not TAP, such as the coverage summary.
  parser.on('extra', (text: string) => process.stdout.write(text));
  // A comment of a test (`t.comment`). tap's own comments are about subtests and times.
  parser.on('comment', (text: string) => {
    if (parent !== '' && !/^# (?:Subtest|time)\b/.test(text)) console.log(`      ${text.trim()}`);
  });
  parser.on('bailout', (reason: string) => {
    console.log(`Bail out! ${reason}`);
  });
  parser.on('assert', (result: Result) => {
    const subtest = finishedSubtest;
    finishedSubtest = undefined;
    const name = `${parent}${result.name}`;
    const isFile = parent === '';
    if (result.skip !== false || result.todo !== false) {
      counts.skipped += 1;
      const [word, reason] = result.skip === false ? ['todo', result.todo] : ['skip', result.skip];
      console.log(`${word}  ${name}${typeof reason === 'string' && reason !== '' ? `: ${reason}` : ''}`);
    } else if (result.ok) {
      if (subtest === undefined) counts.passed += 1;
      if (isFile)
        console.log(`ok    ${name} (${String(subtest?.assertions ?? 0)} tests, ${(result.time ?? 0).toFixed()} ms)`);
    } else if (subtest === undefined || counts.failed === subtest.failedBefore) {
      counts.failed += 1;
      console.log(`FAIL  ${name}${subtest === undefined ? '' : ': failed without a failed assertion'}`);
      printDiagnostics(result.diag);
    } else if (isFile) {
      console.log(`FAIL  ${name}`);
    }
  });
}

function printDiagnostics(diagnostics: unknown): void {
  if (typeof diagnostics !== 'object' || diagnostics === null) return;
  for (const [key, value] of Object.entries(diagnostics)) {
    if (hiddenDiagnostics.has(key)) continue;
    const text = typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 6 });
    const lines = text.split('\n');
    console.log(lines.length === 1 ? `        ${key}: ${text}` : [`        ${key}:`, ...lines].join('\n          '));
  }
}
