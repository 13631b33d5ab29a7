// Reads the output of test files for `npm test`, prints failures and skipped tests, and counts. tap's own readable
// reporters are made for terminals: in a pipe, they repeat their whole screen, and they show a crashed file as skipped.

import { inspect } from 'node:util';

import { Parser } from 'tap-parser';
import type { Result } from 'tap-parser';

import { END_OF_FILE, parseEnd } from './test-batch.ts';

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

/** How the process of test files ended. */
export interface ProcessEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly seconds: number;
  /** Of the process and those that it started; undefined if it did not end by itself. */
  readonly processorSeconds: number | undefined;
  /** What it wrote to stderr. */
  readonly errors: string;
}

export interface FileTime {
  readonly path: string;
  readonly seconds: number;
  /** Of the test and the processes that it started; undefined if it did not end by itself. */
  readonly processorSeconds: number | undefined;
}

/** The report of test files that run in one process. */
export interface ProcessReport {
  /** Takes the output of the tests. */
  readonly stream: Parser;
  /** Prints the results, when the output is complete and the process has ended. Returns how long each file took. */
  close(end: ProcessEnd): readonly FileTime[];
}

interface Subtest {
  readonly failedBefore: number;
  assertions: number;
}

/** What is known about a file. */
interface FileResult {
  readonly path: string;
  /** The number of tests at its top level. */
  tests: number;
  /** The number of assertions that passed. */
  passed: number;
  /** The number of failures. */
  failed: number;
  /** How long it took, if other files run in the same process. */
  time?: Omit<FileTime, 'path'>;
}

interface Reporter {
  readonly counts: Counts;
  readonly print: (line: string) => void;
  readonly file: FileResult;
}

/** Diagnostics that repeat other output (the stack contains the position), or that are about tap itself. */
const hiddenDiagnostics = new Set(['at', 'source', 'compare', 'test', 'tapCaught']);

/**
 * Opens the report of a process, which updates `counts`. It has a line for each failure, each skipped test and the
 * result of each file. Reports of parallel processes must not be live, so that their lines stay together.
 *
 * The line of a subtest counts only if its assertions do not show the result: it was skipped or todo, or it failed
 * without a failed assertion. A file that crashes or that tests nothing counts as one failure.
 *
 * @param paths the files, in the order in which they run
 */
export function openProcessReport(
  paths: readonly string[],
  counts: Counts,
  { isLive, write }: ReportOptions,
): ProcessReport {
  const lines: string[] = [];
  const print = (line: string): void => {
    if (isLive) write(line);
    else lines.push(line);
  };
  const makeResult = (path: string): FileResult => ({ path, tests: 0, passed: 0, failed: 0 });
  const files = paths.map(makeResult);
  const waiting = [...files];
  let file = waiting.shift() ?? makeResult('');
  let fileStartedAt = performance.now();
  const printResult = ({ path, tests, passed, failed }: FileResult, time: Omit<FileTime, 'path'>): FileTime => {
    const times = `${time.seconds.toFixed(1)} s, ${time.processorSeconds?.toFixed(1) ?? '?'} processor s`;
    const result = failed > 0 ? 'FAIL' : 'ok  ';
    print(`${result}  ${path} (${String(tests)} tests, ${String(passed)} assertions, ${times})`);
    return { path, ...time };
  };
  const fail = (failed: FileResult, how: string): void => {
    counts.failed += 1;
    failed.failed += 1;
    print(`FAIL  ${failed.path}: ${how}`);
  };
  const endFile = (name: string): void => {
    const now = performance.now();
    const { processorSeconds } = parseEnd(name);
    file.time = { seconds: (now - fileStartedAt) / 1000, processorSeconds };
    if (file.tests === 0 && file.failed === 0) fail(file, 'ended before any test');
    printResult(file, file.time);
    fileStartedAt = now;
    file = waiting.shift() ?? file;
  };
  const stream = new Parser();
  follow(stream, () => ({ counts, print, file }), '', endFile);
  return {
    stream,
    close({ status, signal, seconds, processorSeconds, errors }) {
      if (errors !== '') print(errors.trimEnd());
      const end = signal === null ? `exited with status ${String(status)}` : `was ended by ${signal}`;
      const isComplete = stream.results?.ok === true && status === 0;
      if (file.time === undefined) {
        if (file.failed === 0 && (!isComplete || file.tests === 0))
          fail(file, `${end} ${file.tests === 0 ? 'before any test' : 'without a failed assertion'}`);
        file.time = { seconds, processorSeconds };
        printResult(file, file.time);
        for (const other of waiting) fail(other, `did not run, because the process of ${file.path} ${end}`);
      } else if (!isComplete && files.every(({ failed }) => failed === 0))
        fail(file, `the process of ${String(files.length)} files ${end} without a failed assertion`);
      if (lines.length > 0) write(lines.join('\n'));
      return files.flatMap(({ path, time }) => (time === undefined ? [] : [{ path, ...time }]));
    },
  };
}

/** Formats the last line of `npm test`. */
export function describeCounts({ passed, failed, skipped }: Counts): string {
  const counts = `${String(passed)} passed, ${String(failed)} failed`;
  return skipped > 0 ? `${counts}, ${String(skipped)} skipped` : counts;
}

/**
 * Follows the output of a test.
 *
 * @param getReporter returns where the results go
 * @param parent the names of the tests around this one; empty for the output of a process
 */
function follow(
  parser: Parser,
  getReporter: () => Reporter,
  parent: string,
  onEndOfFile?: (description: string) => void,
): void {
  const nameOf = (name: string): string => `${parent === '' ? `${getReporter().file.path} > ` : parent}${name}`;
  let finishedSubtest: Subtest | undefined;
  parser.on('child', (child: Parser) => {
    if (onEndOfFile !== undefined && child.name === END_OF_FILE) {
      child.on('assert', ({ name }: Result) => {
        onEndOfFile(name);
      });
      return;
    }
    const reporter = getReporter();
    const subtest = { failedBefore: reporter.file.failed, assertions: 0 };
    child.on('assert', () => (subtest.assertions += 1));
    finishedSubtest = subtest;
    follow(child, () => reporter, `${nameOf(child.name)} > `);
  });
  // Output of a test that is not TAP.
  parser.on('extra', (text: string) => {
    getReporter().print(text.trimEnd());
  });
  // A comment of a test (`t.comment`). tap's own comments are about subtests and times.
  parser.on('comment', (text: string) => {
    if (!/^# (?:Subtest|time|timeout)\b/.test(text)) getReporter().print(`      ${text.trim()}`);
  });
  parser.on('bailout', (reason: string) => {
    getReporter().print(`Bail out! ${reason}`);
  });
  parser.on('assert', (result: Result) => {
    if (onEndOfFile !== undefined && result.name === END_OF_FILE) return;
    const { counts, file, print } = getReporter();
    if (onEndOfFile !== undefined) file.tests += 1;
    const subtest = finishedSubtest;
    finishedSubtest = undefined;
    const name = nameOf(result.name);
    if (result.skip !== false || result.todo !== false) {
      counts.skipped += 1;
      const [word, reason] = result.skip === false ? ['todo', result.todo] : ['skip', result.skip];
      print(`${word}  ${name}${typeof reason === 'string' && reason !== '' ? `: ${reason}` : ''}`);
    } else if (result.ok) {
      if (subtest === undefined) {
        counts.passed += 1;
        file.passed += 1;
      }
    } else if (subtest === undefined || file.failed === subtest.failedBefore) {
      counts.failed += 1;
      file.failed += 1;
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
