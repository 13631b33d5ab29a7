/** The help of k8s-keystone-auth, and its commands `help` and `version`. */
import type { Host } from '../../shared/base/host.ts';
import { VERSION } from '../../shared/base/program.ts';
import { renderLines } from '../../shared/base/terminal-text.ts';
import { describeTopics } from '../../shared/yargs/command-description.ts';
import type { HelpPage, HelpTopic } from '../../shared/yargs/command-description.ts';
import type { WebhookCommand } from './command.ts';
import { PROGRAM_NAME, WEBHOOK_OPTION_GROUPS, WEBHOOK_OPTIONS } from './options.ts';
import type { WebhookOptionName } from './options.ts';

/** The options that most webhooks need, in this order. */
const FIRST_OPTIONS: readonly WebhookOptionName[] = [
  'tls-cert-file',
  'tls-private-key-file',
  'listen',
  'keystone-url',
  'keystone-ca-file',
  'client-ca-file',
  'keystone-policy-file',
  'sync-config-file',
  'oidc-issuer-url',
  'log-level',
];

/** The page of `--help`: one screen. */
function makeFirstPage(): HelpPage {
  return {
    usage: [
      `Usage: ${PROGRAM_NAME} [options]\n       ${PROGRAM_NAME} COMMAND [options]`,
      'Answers TokenReviews and SubjectAccessReviews of kube-apiserver with the help of OpenStack Keystone.',
    ],
    commands: [
      ['policy test', 'show whether a policy allows a request, and by which entry'],
      ['policy lint', 'list the problems of a policy'],
      ['issuer', 'serve tokens that kube-apiserver verifies by itself'],
    ],
    groups: [
      [
        'Options that most webhooks need',
        FIRST_OPTIONS.flatMap((name) => WEBHOOK_OPTIONS.filter((option) => option.name === name)),
      ],
    ],
    examples: [],
    epilog: [
      {
        heading: 'More:',
        rows: [
          [`${PROGRAM_NAME} help COMMAND`, 'one command, with its options'],
          [`${PROGRAM_NAME} help options`, 'all options and variables of the server'],
        ],
      },
    ],
    isBrief: true,
  };
}

function makeOptionsPage(): HelpPage {
  return {
    usage: ['Options of the server.', 'A flag overrides its variables, which are in brackets.'],
    groups: WEBHOOK_OPTION_GROUPS.map((group) => [group, WEBHOOK_OPTIONS.filter((option) => option.group === group)]),
    examples: [],
    epilog: [],
  };
}

const TOPICS: readonly HelpTopic[] = [
  { words: ['options'], summary: 'all options and variables of the server', makePage: makeOptionsPage },
];

/**
 * Prints a page of the help.
 *
 * @param words what it is about; empty for the first page
 * @throws UsageError if there is no such page
 */
export async function printHelp(
  host: Host,
  words: readonly string[],
  commands: readonly WebhookCommand[],
): Promise<number> {
  const { renderHelp } = await import('../../shared/yargs/help.ts');
  const help = {
    program: PROGRAM_NAME,
    commands,
    topics: TOPICS,
    makeFirstPage,
    listOwnOptions: ({ options }: WebhookCommand) => options,
    describeSharedOptions: () => undefined,
  };
  host.writeOut(renderLines(await renderHelp(help, words, host.columns())));
  return 0;
}

/** Makes the command that shows the help. */
export function makeHelpCommand(listCommands: () => readonly WebhookCommand[]): WebhookCommand {
  return {
    words: ['help'],
    summary: 'show the help, or the help for one command',
    arguments: [{ name: 'TOPIC', help: describeTopics(TOPICS), variadic: true }],
    options: [],
    examples: [{ line: 'help policy test', summary: 'show the options of a command' }],
    run: (host, _, words) => printHelp(host, words, listCommands()),
  };
}

/** Prints the version. */
export function printVersion(host: Host): number {
  host.writeOut(renderLines([VERSION]));
  return 0;
}

/** Prints the version, as `--version` does. */
export const versionCommand: WebhookCommand = {
  words: ['version'],
  summary: 'show the version',
  options: [],
  examples: [{ line: 'version', summary: 'show the version of this program' }],
  run: printVersion,
};
