/**
 * Writes the README's table of options from the registry, or with `--check` only says whether it is up to date: a table
 * that is kept by hand is wrong within a month.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { flagNames } from '../src/config/flags.ts';
import { OPTION_GROUPS } from '../src/config/option.ts';
import type { Option } from '../src/config/option.ts';
import { OPTIONS } from '../src/methods/registry.ts';

const README = 'README.md';
const BEGIN = '<!-- options: written by "npm run readme" -->';
const END = '<!-- options end -->';

function row(option: Option): string {
  const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(' ');
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const secret = option.secret ? ' **Secret.**' : '';
  return `| ${code(flagNames(option)) || '–'} | ${code(variables) || '–'} | ${option.help}.${secret} |`;
}

function makeTables(): string {
  const tables = OPTION_GROUPS.map((group) =>
    [
      `**${group}**`,
      '',
      '| Flag | Variables | Meaning |',
      '| --- | --- | --- |',
      ...OPTIONS.filter((option) => option.group === group).map(row),
    ].join('\n'),
  );
  return `${BEGIN}\n\n${tables.join('\n\n')}\n\n${END}`;
}

const readme = readFileSync(README, 'utf8');
const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
if (begin < 0 || end < begin) throw new Error(`${README} lacks the lines ${BEGIN} and ${END}`);
const style = await resolveConfig(README, { editorconfig: true });
const text = readme.slice(0, begin) + makeTables() + readme.slice(end + END.length);
const written = await format(text, { ...style, parser: 'markdown' });
if (!process.argv.includes('--check')) writeFileSync(README, written);
else if (written !== readme) {
  console.error(`${README}: the table of options is out of date; run "npm run readme"`);
  process.exitCode = 1;
}
