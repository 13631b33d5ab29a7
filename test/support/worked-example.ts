/**
 * Reads a worked example of CONTRIBUTING.md: a section with code for files. A block belongs to the file that the text
 * before it names last. A block of TypeScript is the whole file, and a block of `diff` changes a part of it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import MarkdownIt from 'markdown-it';

/** A file of an example, and what to do with it. */
export interface ExampleStep {
  readonly path: string;
  readonly language: 'ts' | 'diff';
  readonly code: string;
}

export interface WorkedExample {
  readonly steps: readonly ExampleStep[];
  /** The test files that it says to run. */
  readonly testFiles: readonly string[];
}

const PATH = /^(?:src|test)\/[\w./-]+\.ts$/;
const TEST_COMMAND = /^npm test -- (.+)$/;

/**
 * Reads the example below a heading of level 2.
 *
 * @throws Error when the document has no such heading, or names no file before a block of code
 */
export function readWorkedExample(markdown: string, heading: string): WorkedExample {
  const tokens = new MarkdownIt().parse(markdown, {});
  const start = tokens.findIndex(({ content }, index) => content === heading && tokens[index - 1]?.tag === 'h2');
  if (start < 0) throw new Error(`CONTRIBUTING.md has no section "${heading}"`);
  const length = tokens.slice(start).findIndex(({ type, tag }) => type === 'heading_open' && tag === 'h2');
  const steps: ExampleStep[] = [];
  const testFiles: string[] = [];
  let path: string | undefined;
  for (const token of tokens.slice(start, length < 0 ? undefined : start + length)) {
    for (const { type, content } of token.children ?? []) {
      if (type !== 'code_inline') continue;
      if (PATH.test(content)) path = content;
      const [, files = ''] = TEST_COMMAND.exec(content) ?? [];
      testFiles.push(...files.split(' ').filter((file) => file !== ''));
    }
    if (token.type !== 'fence') continue;
    const { info, content } = token;
    if (path === undefined || (info !== 'ts' && info !== 'diff'))
      throw new Error(`CONTRIBUTING.md:${(token.map?.[0] ?? 0) + 1}: a block of a worked example names no file`);
    steps.push({ path, language: info, code: content });
  }
  return { steps, testFiles };
}

/**
 * Changes a text as a block of `diff` shows, without line numbers.
 *
 * @throws Error unless the lines that the block keeps or removes are in the text exactly once
 */
export function applyDiff(text: string, diff: string): string {
  const lines = diff.split('\n').filter((line) => line !== '');
  const pick = (...marks: string[]): string =>
    lines.flatMap((line) => (marks.includes(line.charAt(0)) ? [`${line.slice(1)}\n`] : [])).join('');
  // Each line begins after a line feed, so that a part of a line is not a line.
  const [all, wanted] = [`\n${text}`, `\n${pick(' ', '-')}`];
  const start = all.indexOf(wanted);
  if (start < 0 || start !== all.lastIndexOf(wanted))
    throw new Error(`the file must contain these lines exactly once:${wanted}`);
  return `${all.slice(0, start)}\n${pick(' ', '+')}${all.slice(start + wanted.length)}`.slice(1);
}

/** Follows the steps of an example in a copy of the project. */
export function followExample(folder: string, { steps }: WorkedExample): void {
  for (const { path, language, code } of steps) {
    const file = join(folder, path);
    if (language === 'diff') writeFileSync(file, applyDiff(readFileSync(file, 'utf8'), code));
    else {
      mkdirSync(dirname(file), { recursive: true });
      // "wx" fails if the file exists: then the example is not an example any more.
      writeFileSync(file, code, { flag: 'wx' });
    }
  }
}
