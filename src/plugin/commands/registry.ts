import { cacheCleanCommand } from './cache/clean.ts';
import { cacheListCommand } from './cache/list.ts';
import { catalogCommand } from './catalog.ts';
import type { Command, CommandDescription } from './command.ts';
import { completeCommand } from './completion/complete-names.ts';
import { makeCompletionCommand } from './completion/completion.ts';
import { doctorCommand } from './doctor/doctor.ts';
import { explainCommand } from './explain/explain.ts';
import { kubeconfigAddCommand } from './kubeconfig/add.ts';
import { kubeconfigConvertCommand } from './kubeconfig/convert.ts';
import { kubeconfigFetchCommand } from './kubeconfig/fetch.ts';
import { kubeconfigRemoveCommand } from './kubeconfig/remove.ts';
import { kubeconfigShowCommand } from './kubeconfig/show.ts';
import { domainsCommand, projectsCommand } from './list-scopes.ts';
import { loginCommand } from './login/login.ts';
import { logoutCommand } from './logout.ts';
import { statusCommand } from './status.ts';
import { tokenCommand } from './token.ts';
import { whoamiCommand } from './whoami.ts';

/** The command that kubectl runs; `cli/cli.ts` does it without anything of this folder. */
export const GET_TOKEN_COMMAND: CommandDescription = {
  words: ['get-token'],
  summary: 'print a token as an ExecCredential for kubectl; what happens without a command, too',
  options: [],
  getTokenOptions: 'everything',
  examples: [
    { line: 'get-token --os-cloud prod', summary: 'log in to a cloud of clouds.yaml, or give the token that is kept' },
  ],
};

/** Every other command, in the order of `--help`. */
export const COMMANDS: readonly Command[] = [
  loginCommand,
  logoutCommand,
  statusCommand,
  tokenCommand,
  whoamiCommand,
  projectsCommand,
  domainsCommand,
  catalogCommand,
  cacheListCommand,
  cacheCleanCommand,
  explainCommand,
  doctorCommand,
  kubeconfigAddCommand,
  kubeconfigFetchCommand,
  kubeconfigConvertCommand,
  kubeconfigRemoveCommand,
  kubeconfigShowCommand,
  makeCompletionCommand(() => ALL_COMMANDS),
  completeCommand,
];

/** These and get-token, as users are told of them. */
export const ALL_COMMANDS: readonly CommandDescription[] = [
  GET_TOKEN_COMMAND,
  ...COMMANDS.filter(({ hidden }) => hidden !== true),
];
