/**
 * Writes the README's tables of methods and options from the registry, or with `--check` only says whether they are up to
 * date: a table that is kept by hand is wrong within a month. What a method is tested against, its test's first line says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { COMMON_OPTIONS } from '../src/plugin/config/common-options.ts';
import { listFlagNames } from '../src/shared/options/flags.ts';
import { PLUGIN_OPTION_GROUPS, WEBHOOK_OPTION_GROUPS } from '../src/shared/options/option.ts';
import type { Option, OptionGroup } from '../src/shared/options/option.ts';
import type { AuthMethod } from '../src/plugin/auth-methods/auth-method.ts';
import { ALL_COMMANDS } from '../src/plugin/commands/registry.ts';
import { describeSynopsis } from '../src/plugin/commands/synopsis.ts';
import { listMethodNames, METHODS, OPTIONS } from '../src/plugin/auth-methods/registry.ts';
import { WEBHOOK_OPTIONS } from '../src/webhook/cli/options.ts';

const README = 'README.md';
const WEBHOOK = 'WEBHOOK.md';

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(' ');

function optionRow(option: Option): string {
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const secret = option.secret ? ' **Secret.**' : '';
  return `| ${code(listFlagNames(option)) || '–'} | ${code(variables) || '–'} | ${option.help}.${secret} |`;
}

function makeOptionTables(groups: readonly OptionGroup[], options: readonly Option[]): string {
  const present = groups.filter((group) => options.some((option) => option.group === group));
  const tables = present.map((group) =>
    [
      `**${group}**`,
      '',
      '| Flag | Variables | Meaning |',
      '| --- | --- | --- |',
      ...options.filter((option) => option.group === group).map(optionRow),
    ].join('\n'),
  );
  return tables.join('\n\n');
}

function readTestedAgainst({ name }: AuthMethod): string {
  const file = `test/auth-methods/${name}.test.ts`;
  const [, against] = /^\/\/ Against: (.+)\.\n/.exec(readFileSync(file, 'utf8')) ?? [];
  if (against === undefined) throw new Error(`${file} does not begin with "// Against: …."`);
  return against;
}

function methodRow(method: AuthMethod): string {
  const common = COMMON_OPTIONS.map(({ name }) => name);
  const own = method.options.filter(({ name }) => !common.includes(name));
  const names = own.map((option) => listFlagNames(option)[0] ?? option.env?.[0] ?? option.name);
  const options = code([...new Set(names)]);
  return `| ${code(listMethodNames(method))} | ${method.summary} | ${options} | ✓ ${readTestedAgainst(method)} |`;
}

function makeMethodTable(): string {
  const byName = METHODS.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return [
    '| `--auth-type` | Logs in with | Options of its own | Tested against |',
    '| --- | --- | --- | --- |',
    ...byName.map(methodRow),
  ].join('\n');
}

function makeCommandTable(): string {
  const rows = ALL_COMMANDS.map((command) => {
    const own = code(command.options.flatMap((option) => listFlagNames(option).slice(0, 1)));
    return `| ${code([describeSynopsis(command)])} | ${command.summary} | ${own || '–'} |`;
  });
  return ['| Command | Does | Options of its own |', '| --- | --- | --- |', ...rows].join('\n');
}

function replaceTables(text: string, name: string, tables: string): string {
  const begin = `<!-- ${name}: written by "npm run reference" -->`;
  const end = `<!-- ${name} end -->`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`it lacks the lines ${begin} and ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${tables}\n\n${text.slice(to)}`;
}

/** Writes a file's tables anew, or with `--check` says where they are out of date. */
async function renew(file: string, tables: Readonly<Record<string, string>>): Promise<void> {
  const before = readFileSync(file, 'utf8');
  const style = await resolveConfig(file, { editorconfig: true });
  const text = Object.entries(tables).reduce((all, [name, table]) => replaceTables(all, name, table), before);
  const written = await format(text, { ...style, parser: 'markdown' });
  if (!process.argv.includes('--check')) writeFileSync(file, written);
  else if (written !== before) {
    console.error(`${file}: a table is out of date; run "npm run reference"`);
    process.exitCode = 1;
  }
}

await renew(README, {
  options: makeOptionTables(PLUGIN_OPTION_GROUPS, OPTIONS),
  methods: makeMethodTable(),
  commands: makeCommandTable(),
});
await renew(WEBHOOK, { 'webhook options': makeOptionTables(WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS) });
