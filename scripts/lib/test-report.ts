// Reads the output of test files for `npm test`, prints failures and skipped tests, and counts. tap's own readable
// reporters are made for terminals: in a pipe, they repeat their whole screen, and they show a crashed file as skipped.

import { inspect } from 'node:util';

import { Parser } from 'tap-parser';
import type { Result } from 'tap-parser';

/** The number of assertions by result. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface ReportOptions {
  /** Whether each line is written at once, instead of all when the file has ended. */
  readonly isLive: boolean;
  /** Writes lines without a last newline. */
  readonly write: (text: string) => void;
}

/** How the process of a test file ended. */
export interface FileEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly seconds: number;
  /** What it wrote to stderr. */
  readonly errors: string;
}

/** The report of a test file. */
export interface FileReport {
  /** Takes the output of the test. */
  readonly stream: Parser;
  /** Prints the result, when the output is complete and the process has ended. */
  close(end: FileEnd): void;
}

interface Subtest {
  readonly failedBefore: number;
  assertions: number;
}

interface Reporter {
  readonly counts: Counts;
  readonly print: (line: string) => void;
  /** The number of failures in this file. */
  failed: number;
}

/** Diagnostics that repeat other output (the stack contains the position), or that are about tap itself. */
const hiddenDiagnostics = new Set(['at', 'source', 'compare', 'test', 'tapCaught']);

/**
 * Opens the report of a test file, which updates `counts`. It has a line for each failure, each skipped test and the
 * result. Reports of parallel files must not be live, so that their lines stay together.
 *
 * The line of a subtest counts only if its assertions do not show the result: it was skipped or todo, or it failed
 * without a failed assertion. A file that crashes or that tests nothing counts as one failure.
 */
export function openFileReport(path: string, counts: Counts, { isLive, write }: ReportOptions): FileReport {
  const lines: string[] = [];
  const print = (line: string): void => {
    if (isLive) write(line);
    else lines.push(line);
  };
  const reporter: Reporter = { counts, print, failed: 0 };
  const stream = new Parser();
  let assertions = 0;
  stream.on('assert', () => (assertions += 1));
  follow(stream, reporter, `${path} > `);
  return {
    stream,
    close({ status, signal, seconds, errors }) {
      if (errors !== '') print(errors.trimEnd());
      const isComplete = stream.results?.ok === true && status === 0 && assertions > 0;
      if (!isComplete && reporter.failed === 0) {
        counts.failed += 1;
        reporter.failed += 1;
        const end = signal === null ? `exited with status ${String(status)}` : `was ended by ${signal}`;
        const extent = assertions === 0 ? 'before any test' : 'without a failed assertion';
        print(`FAIL  ${path}: ${end} ${extent}`);
      }
      const result = reporter.failed > 0 ? 'FAIL' : 'ok  ';
      print(`${result}  ${path} (${String(assertions)} tests, ${seconds.toFixed(1)} s)`);
      if (lines.length > 0) write(lines.join('\n'));
    },
  };
}

/** Formats the last line of `npm test`. */
export function describeCounts({ passed, failed, skipped }: Counts): string {
  const counts = `${String(passed)} passed, ${String(failed)} failed`;
  return skipped > 0 ? `${counts}, ${String(skipped)} skipped` : counts;
}

function follow(parser: Parser, reporter: Reporter, parent: string): void {
  const { counts, print } = reporter;
  let finishedSubtest: Subtest | undefined;
  parser.on('child', (child: Parser) => {
    const subtest = { failedBefore: reporter.failed, assertions: 0 };
    child.on('assert', () => (subtest.assertions += 1));
    finishedSubtest = subtest;
    follow(child, reporter, `${parent}${child.name} > `);
  });
  // Output of a test that is not TAP.
  parser.on('extra', (text: string) => {
    print(text.trimEnd());
  });
  // A comment of a test (`t.comment`). tap's own comments are about subtests and times.
  parser.on('comment', (text: string) => {
    if (!/^# (?:Subtest|time|timeout)\b/.test(text)) print(`      ${text.trim()}`);
  });
  parser.on('bailout', (reason: string) => {
    print(`Bail out! ${reason}`);
  });
  parser.on('assert', (result: Result) => {
    const subtest = finishedSubtest;
    finishedSubtest = undefined;
    const name = `${parent}${result.name}`;
    if (result.skip !== false || result.todo !== false) {
      counts.skipped += 1;
      const [word, reason] = result.skip === false ? ['todo', result.todo] : ['skip', result.skip];
      print(`${word}  ${name}${typeof reason === 'string' && reason !== '' ? `: ${reason}` : ''}`);
    } else if (result.ok) {
      if (subtest === undefined) counts.passed += 1;
    } else if (subtest === undefined || reporter.failed === subtest.failedBefore) {
      counts.failed += 1;
      reporter.failed += 1;
      print(`FAIL  ${name}${subtest === undefined ? '' : ': failed without a failed assertion'}`);
      for (const line of describeDiagnostics(result.diag)) print(line);
    }
  });
}

function describeDiagnostics(diagnostics: unknown): string[] {
  if (typeof diagnostics !== 'object' || diagnostics === null) return [];
  return Object.entries(diagnostics).flatMap(([key, value]) => {
    if (hiddenDiagnostics.has(key)) return [];
    const text = typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 6 });
    const lines = text.split('\n');
    return lines.length === 1
      ? [`        ${key}: ${text}`]
      : [`        ${key}:`, ...lines.map((line) => `          ${line}`)];
  });
}
