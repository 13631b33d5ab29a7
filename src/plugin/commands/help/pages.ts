/** The pages of the help, made of the registries of commands, options and auth methods. */
import { PROGRAM_NAME } from '../../../shared/base/program.ts';
import { listFlagNames } from '../../../shared/options/flags.ts';
import type { Option } from '../../../shared/options/option.ts';
import { listCommandGroup } from '../../../shared/yargs/command-description.ts';
import type { Example, HelpPage } from '../../../shared/yargs/command-description.ts';
import { METHOD_USES } from '../../auth-methods/auth-method.ts';
import { listMethodNames, METHODS, OPTIONS } from '../../auth-methods/registry.ts';
import { SELECTION_OPTIONS } from '../../cli/selection-options.ts';
import type { SelectionOptionName } from '../../cli/selection-options.ts';
import { PLUGIN_OPTION_GROUPS } from '../../config/option.ts';
import type { OptionName } from '../../config/option.ts';
import { KUBECTL_OPTIONS, listGetTokenOptions } from '../accepted-options.ts';
import { TASKS } from '../command.ts';
import type { CommandDescription } from '../command.ts';

const command = (line: string): string => `"${PROGRAM_NAME} ${line}"`;

/** The way from a new installation to its removal. */
const FIRST_EXAMPLES: readonly Example[] = [
  { line: `${PROGRAM_NAME} kubeconfig add`, summary: 'add a context for your cloud' },
  { line: 'kubectl get pods', summary: 'kubectl now logs in by itself' },
  { line: `${PROGRAM_NAME} whoami`, summary: 'show who you are, and until when' },
  { line: `${PROGRAM_NAME} doctor`, summary: 'find out what is wrong' },
  { line: `${PROGRAM_NAME} logout`, summary: 'revoke and forget the token' },
];

/** Those that the page mentions elsewhere, or that need no mention. */
const NOT_LISTED: readonly string[] = ['help', 'version'];

/** The options that most people need, in this order. */
const FIRST_OPTIONS: readonly (OptionName | SelectionOptionName)[] = [
  'context',
  'os-cloud',
  'keystone-url',
  'auth-type',
  'user-name',
  'user-domain-name',
  'project-name',
  'project-domain-name',
  'application-credential-id',
  'verbose',
];

/** Names the commands in a few words: `login`, `cache list|clean`. */
function describeCommands(commands: readonly CommandDescription[]): string {
  const words = [...new Set(commands.map(({ words: [first] }) => first))];
  return words
    .map((word) => {
      const second = listCommandGroup(commands, [word]).flatMap(({ words: [, ...others] }) => others);
      return second.length < 2 ? word : `${word} ${second.join('|')}`;
    })
    .join(', ');
}

function pickOptions(names: readonly (OptionName | SelectionOptionName)[]): readonly Option[] {
  return names.flatMap((name) => [...SELECTION_OPTIONS, ...OPTIONS].filter((option) => option.name === name));
}

/** The page of `--help`: one screen. */
export function makeFirstPage(commands: readonly CommandDescription[]): HelpPage {
  return {
    usage: [
      `Usage: ${PROGRAM_NAME} [COMMAND] [options]`,
      'Logs in to Kubernetes with OpenStack Keystone; kubectl runs it to get a token.',
    ],
    commands: TASKS.map((task) => [
      task,
      describeCommands(commands.filter((each) => each.task === task && !NOT_LISTED.includes(each.words[0]))),
    ]),
    groups: [['Options that most people need', pickOptions(FIRST_OPTIONS)]],
    examples: FIRST_EXAMPLES,
    epilog: [
      {
        heading: 'More:',
        rows: [
          [`${PROGRAM_NAME} help COMMAND`, 'one command, with its options'],
          [`${PROGRAM_NAME} help options`, 'all options and variables'],
          [`${PROGRAM_NAME} help auth`, 'the ways to log in'],
          [`man ${PROGRAM_NAME}`, 'everything on one page'],
        ],
      },
    ],
    isBrief: true,
  };
}

/** Lists the auth methods by what a user has to log in with. */
function listMethodsByUse(): readonly (readonly [use: string, names: string])[] {
  return METHOD_USES.map((use) => [
    use,
    METHODS.filter((method) => method.use === use)
      .flatMap(listMethodNames)
      .join(', '),
  ]);
}

function addMethods(option: Option): Option {
  if (option.name !== 'auth-type') return option;
  const uses = listMethodsByUse().map(([use, names]) => `${use}: ${names}`);
  return { ...option, help: `${[`${option.help}. One of`, ...uses].join('\n')}\n` };
}

/** The page of all options that a login has. */
export function makeOptionsPage(): HelpPage {
  const withoutFlag = OPTIONS.filter(({ flag }) => flag === false);
  return {
    usage: [
      'Options of a login.',
      'A flag overrides its variables, which are in brackets. The flags of the openstack client work too, such as ' +
        '--os-project-name.',
    ],
    groups: PLUGIN_OPTION_GROUPS.flatMap((group) => {
      const options = OPTIONS.filter((option) => option.group === group && option.flag !== false);
      return options.length === 0 ? [] : [[group, options.map(addMethods)] as const];
    }),
    examples: [],
    epilog: [
      { heading: 'Variables without a flag:', rows: withoutFlag.map(({ env = [], help }) => [env.join(', '), help]) },
    ],
  };
}

/** The page of the auth methods. */
export function makeMethodsPage(): HelpPage {
  return {
    usage: [
      'Ways to log in: the values of --auth-type (OS_AUTH_TYPE).',
      `Without a value, it is inferred from the other settings; ${command('explain')} shows which one and why.`,
    ],
    groups: [],
    examples: [],
    epilog: METHOD_USES.map((use) => ({
      heading: `${use}:`,
      rows: METHODS.filter((method) => method.use === use).map((method) => [
        listMethodNames(method).join(', '),
        method.summary,
      ]),
    })),
  };
}

/** Lists the options on the page of a command. */
export function listOwnOptions({ getTokenOptions, options }: CommandDescription): readonly Option[] {
  return getTokenOptions === 'everything' ? [...options, ...pickOptions(KUBECTL_OPTIONS)] : options;
}

/** Describes the options of get-token that a command accepts. */
export function describeSharedOptions(description: CommandDescription): string {
  if (description.getTokenOptions === 'everything' || description.getTokenOptions === 'login') {
    return `The options of a login work too, such as --os-cloud; see ${command('help options')}.`;
  }
  const flags = listGetTokenOptions(description).flatMap((option) => listFlagNames(option).slice(0, 1));
  return `These options work too: ${flags.join(', ')}; see ${command('help options')}.`;
}
