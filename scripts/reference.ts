/**
 * `npm run reference`: writes the generated tables of docs/ from the registries in src/, and what files repeat of
 * package.json: the address of the project and the version of Node. With `--check`, which `npm run check` uses, it
 * changes nothing and fails if something is out of date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import type { AuthMethod } from '../src/plugin/auth-methods/auth-method.ts';
import { listMethodNames, METHODS, OPTIONS } from '../src/plugin/auth-methods/registry.ts';
import { listExitStatuses } from '../src/plugin/cli/exit-status.ts';
import { SELECTION_OPTIONS } from '../src/plugin/cli/selection-options.ts';
import { ALL_COMMANDS } from '../src/plugin/commands/registry.ts';
import { describeSynopsis } from '../src/shared/yargs/command-description.ts';
import { COMMON_OPTIONS } from '../src/plugin/config/common-options.ts';
import { readChartValues } from './lib/chart-values.ts';
import { listOutdatedMentions } from './lib/project-mentions.ts';
import { PROJECT } from './lib/project.ts';
import { listFlagNames } from '../src/shared/options/flags.ts';
import { PLUGIN_OPTION_GROUPS } from '../src/plugin/config/option.ts';
import type { Option } from '../src/shared/options/option.ts';
import { TESTED_SYSTEMS } from '../test/support/provider-results.ts';
import { ISSUER_OPTIONS } from '../src/webhook/cli/issuer/issuer-options.ts';
import { ISSUER_GROUP, WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS } from '../src/webhook/cli/options.ts';

const NOTHING = '–';

const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(' ') || NOTHING;

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function makeOptionRow(option: Option): readonly string[] {
  const variables = [...(option.env ?? []), ...(option.legacyEnv ?? [])];
  const secret = option.secret ? ' **Secret.**' : '';
  return [code(listFlagNames(option)), code(variables), `${option.help}.${secret}`];
}

/** Renders one table for each group that has options. */
function makeOptionTables(groups: readonly string[], options: readonly Option[]): string {
  const tables = groups.flatMap((group) => {
    const rows = options.filter((option) => option.group === group).map(makeOptionRow);
    return rows.length === 0 ? [] : [`**${group}**`, renderTable(['Flag', 'Variables', 'Meaning'], rows)];
  });
  return tables.join('\n\n');
}

/**
 * Reads what a method's test runs against. CONTRIBUTING.md ("Add an auth method") describes this convention.
 *
 * @throws Error when the test or its `Against:` comment is missing
 */
function readTestedAgainst(name: string): string {
  const file = `test/auth-methods/${name}.test.ts`;
  if (!existsSync(file)) throw new Error(`${file} does not exist: every auth method needs a test of this name`);
  const [, server] = /^\/\/ Against: (.+)\.$/m.exec(readFileSync(file, 'utf8')) ?? [];
  if (server !== undefined) return server;
  throw new Error(
    `${file} does not say what it runs against: add a comment line like "// Against: a real Keystone." ` +
      '(with the period), which docs/reference.md quotes',
  );
}

function makeMethodRow(method: AuthMethod): readonly string[] {
  const common = COMMON_OPTIONS.map(({ name }) => name);
  const own = method.options.filter(({ name }) => !common.includes(name));
  const names = own.map((option) => listFlagNames(option)[0] ?? option.env?.[0] ?? option.name);
  const server = readTestedAgainst(method.name);
  return [code(listMethodNames(method)), method.summary, code([...new Set(names)]), `✓ ${server}`];
}

function makeMethodTable(): string {
  const sorted = METHODS.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return renderTable(['`--auth-type`', 'Logs in with', 'Own options', 'Tested against'], sorted.map(makeMethodRow));
}

function makeCommandTable(): string {
  const rows = ALL_COMMANDS.map((command) => {
    const own = command.options
      .filter(({ name }) => !SELECTION_OPTIONS.some((option) => option.name === name))
      .flatMap((option) => listFlagNames(option).slice(0, 1));
    return [code([describeSynopsis(command)]), command.summary, code(own)];
  });
  return renderTable(['Command', 'Description', 'Own options'], rows);
}

function makeExitStatusTable(): string {
  const rows = listExitStatuses().map(({ status, meaning, codes }) => [String(status), meaning, code(codes)]);
  return renderTable(['Status', 'Meaning', 'Codes'], rows);
}

function makeValuesTable(): string {
  const values = readChartValues(readFileSync('packaging/chart/values.yaml', 'utf8'));
  const rows = values.map(({ path, defaultText, description }) => [
    `\`${path}\``,
    defaultText === "''" ? NOTHING : `\`${defaultText}\``,
    description === '' ? 'Whether it is created' : description,
  ]);
  return renderTable(['Value', 'Default', 'Meaning'], rows);
}

function makeProviderTable(): string {
  const rows = TESTED_SYSTEMS.flatMap(({ name, version, rows: results }) =>
    Object.entries(results).map(([test, { method, result }]) => [`${name} ${version}`, method, result, test]),
  );
  return renderTable(['System', 'Method', 'Result', 'Test'], rows);
}

function replaceTable(file: string, text: string, name: string, table: string): string {
  const begin = `<!-- ${name}: written by "npm run reference" -->`;
  const end = `<!-- ${name} end -->`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} lacks the lines ${begin} and ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`;
}

/** Writes a file, or with `--check` reports that it is out of date. */
function update(file: string, after: string, reason: string): void {
  if (!process.argv.includes('--check')) writeFileSync(file, after);
  else {
    console.error(`${file}: ${reason}; run "npm run reference"`);
    process.exitCode = 1;
  }
}

async function updateTables(file: string, tables: Readonly<Record<string, string>>): Promise<void> {
  const before = readFileSync(file, 'utf8');
  const style = await resolveConfig(file, { editorconfig: true });
  const text = Object.entries(tables).reduce((all, [name, table]) => replaceTable(file, all, name, table), before);
  const after = await format(text, { ...style, parser: 'markdown' });
  if (after !== before) update(file, after, 'a table is out of date');
}

for (const { path, after } of listOutdatedMentions('.', PROJECT)) update(path, after, 'it differs from package.json');

await updateTables('docs/reference.md', {
  methods: makeMethodTable(),
  options: makeOptionTables(PLUGIN_OPTION_GROUPS, OPTIONS),
});
await updateTables('docs/auth/tested-providers.md', { 'tested providers': makeProviderTable() });
await updateTables('docs/commands.md', { commands: makeCommandTable() });
await updateTables('docs/exit-codes.md', { 'exit codes': makeExitStatusTable() });
await updateTables('packaging/chart/README.md', { values: makeValuesTable() });
await updateTables('docs/webhook/reference.md', {
  'webhook options': makeOptionTables(WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS),
  'issuer options': makeOptionTables([ISSUER_GROUP, ...WEBHOOK_OPTION_GROUPS], ISSUER_OPTIONS),
});
