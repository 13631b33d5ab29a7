/** Renders the manual page from the registries of options, methods, commands and exit statuses. Source: man(7). */
import { listFlagNames, takesValue } from '../../src/shared/options/flags.ts';
import { PLUGIN_OPTION_GROUPS } from '../../src/plugin/config/option.ts';
import type { Option } from '../../src/shared/options/option.ts';
import type { CommandDescription } from '../../src/plugin/commands/command.ts';
import { METHOD_USES } from '../../src/plugin/auth-methods/auth-method.ts';
import { listExitStatuses } from '../../src/plugin/cli/exit-status.ts';
import { describeSynopsis } from '../../src/shared/yargs/command-description.ts';
import { COMMANDS } from '../../src/plugin/commands/registry.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../src/plugin/auth-methods/registry.ts';
import { PROJECT } from '../lib/project.ts';
import { DESCRIPTION, PROGRAM_NAME, KUBECTL_PLUGIN_NAME, SUMMARY } from './product.ts';

/** Escapes text for roff, so that a dash stays a dash and no line is read as a request. */
function escape(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&')
    .replace(/[^\0-\x7F]/gu, (character) => {
      const point = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
      return `\\[u${point}]`;
    });
}

const bold = (text: string): string => `\\fB${escape(text)}\\fR`;
const item = (head: string, text: string): string => `.TP\n${head}\n${escape(text)}`;

const listEnvNames = ({ env = [], legacyEnv = [] }: Option): readonly string[] => [...env, ...legacyEnv];

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function describeFlag(option: Option): string {
  const value = !takesValue(option) ? '' : ` \\fI${escape(option.kind ?? 'value')}\\fR`;
  const variables = listEnvNames(option);
  const parts = [
    sentence(option.help),
    option.choices === undefined ? '' : ` One of: ${option.choices.join(', ')}.`,
    option.secret === true ? ' Other users of this machine can read flags, so prefer the variable.' : '',
    variables.length === 0 ? '' : ` Variables: ${variables.join(', ')}.`,
  ];
  return item(`${listFlagNames(option).map(bold).join(', ')}${value}`, parts.join(''));
}

function listOptions(): string[] {
  return PLUGIN_OPTION_GROUPS.flatMap((group) => {
    const options = OPTIONS.filter((option) => option.group === group && option.flag !== false);
    return options.length === 0 ? [] : [`.SS ${escape(group)}`, ...options.map(describeFlag)];
  });
}

function describeCommand(command: CommandDescription): string[] {
  const { summary, details = [], arguments: own = [], options, examples } = command;
  return [
    `.SS ${escape(describeSynopsis(command))}`,
    escape(sentence(summary)),
    ...details.map((text) => `.PP\n${escape(text)}`),
    ...own.map(({ name, help }) => item(`\\fI${escape(name)}\\fR`, sentence(help))),
    ...options.filter(({ flag }) => flag !== false).map(describeFlag),
    ...examples.map(({ line, summary: purpose }) => item(`${bold(PROGRAM_NAME)} ${escape(line)}`, sentence(purpose))),
  ];
}

/** Lists the variables without a flag. The others are described with their flags. */
function listVariables(): string[] {
  return OPTIONS.filter(({ flag }) => flag === false).map((option) =>
    item(listEnvNames(option).map(bold).join(', '), sentence(option.help)),
  );
}

/** Renders the page without a date, so that the same sources give the same text. */
export function renderManPage(version: string): string {
  const lines = [
    `.TH ${escape(PROGRAM_NAME.toUpperCase())} 1 "" "${escape(`${PROGRAM_NAME} ${version}`)}" "User Commands"`,
    '.SH NAME',
    `${escape(PROGRAM_NAME)}, ${escape(KUBECTL_PLUGIN_NAME)} \\- ${escape(SUMMARY)}`,
    '.SH SYNOPSIS',
    `${bold(PROGRAM_NAME)} [${bold('get-token')}] [\\fIoptions\\fR]`,
    '.br',
    `${bold(PROGRAM_NAME)} \\fIcommand\\fR [\\fIoptions\\fR]`,
    '.br',
    `${bold('kubectl keystone-auth')} [\\fIoptions\\fR]`,
    '.SH DESCRIPTION',
    escape(DESCRIPTION),
    '.PP',
    escape('It prints only the token, as an ExecCredential on stdout. A kubeconfig names the program as the command'),
    escape("of a user's exec section."),
    '.SH OPTIONS',
    'A flag overrides its variables. Of several variables, the first one that is set counts.',
    escape('Flags of the openstack client, such as --os-project-name, are accepted too.'),
    ...listOptions(),
    '.SS Other',
    item(`${bold('--help')}, ${bold('-h')}`, 'Show the most used options; with a command, its options.'),
    item(bold('--version'), 'Show the version.'),
    '.SH COMMANDS',
    'Each command also takes the options above that apply to it.',
    ...COMMANDS.flatMap(describeCommand),
    '.SH WAYS TO LOG IN',
    `Values of ${bold('--auth-type')}, by what you have to log in with:`,
    ...METHOD_USES.flatMap((use) => [
      `.SS ${escape(use)}`,
      ...METHODS.filter((method) => method.use === use).map((method) =>
        item(listMethodNames(method).map(bold).join(', '), sentence(method.summary)),
      ),
    ]),
    '.SH ENVIRONMENT',
    'Variables without a flag. The variables of flags are described with the flags above.',
    ...listVariables(),
    '.SH EXIT STATUS',
    ...listExitStatuses().map(({ status, meaning }) => item(bold(String(status)), sentence(meaning))),
    '.PP',
    'If the status is not 0, stdout is empty, and the last line of stderr says what happened and what to do.',
    '.SH REPORTING BUGS',
    escape(PROJECT.issuesUrl),
    '.SH AUTHORS',
    escape(PROJECT.authors),
    '.SH SEE ALSO',
    `${bold('kubectl')}(1), ${bold('openstack')}(1)`,
    '.PP',
    escape(PROJECT.homepage),
  ];
  return `${lines.join('\n')}\n`;
}
