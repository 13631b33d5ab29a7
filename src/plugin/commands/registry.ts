/** Lists all commands. */
import { SELECTION_OPTIONS } from '../cli/selection-options.ts';
import { cacheCleanCommand } from './cache/clean.ts';
import { cacheListCommand } from './cache/list.ts';
import { catalogCommand } from './catalog.ts';
import type { Command, CommandDescription } from './command.ts';
import { completionCommand } from './completion/completion.ts';
import { completionInstallCommand } from './completion/install.ts';
import { doctorCommand } from './doctor/doctor.ts';
import { explainCommand } from './explain/explain.ts';
import { makeHelpCommand, versionCommand } from './help/help.ts';
import { kubeconfigAddCommand } from './kubeconfig/add.ts';
import { kubeconfigConvertCommand } from './kubeconfig/convert.ts';
import { kubeconfigFetchCommand } from './kubeconfig/fetch.ts';
import { kubeconfigRemoveCommand } from './kubeconfig/remove.ts';
import { kubeconfigShowCommand } from './kubeconfig/show.ts';
import { domainsCommand, projectsCommand } from './list-scopes.ts';
import { getTokenCommand } from './get-token/get-token.ts';
import { loginCommand } from './login/login.ts';
import { logoutCommand } from './logout.ts';
import { statusCommand } from './status.ts';
import { tokenCommand } from './token.ts';
import { whoamiCommand } from './whoami.ts';

/** Adds the options that select a context to those of a command. */
function withSelection<C extends CommandDescription>(command: C): C {
  if (command.contextUse === 'none') return command;
  return { ...command, options: [...command.options, ...SELECTION_OPTIONS] };
}

/** The command that kubectl runs; for kubectl, `cli/cli.ts` runs it without loading anything from this folder. */
export const GET_TOKEN_COMMAND: Command = withSelection(getTokenCommand);

const OWN_COMMANDS: readonly Command[] = [
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
  completionCommand,
  completionInstallCommand,
  makeHelpCommand(() => ALL_COMMANDS),
  versionCommand,
];

/** All other commands, in the order of `--help`. */
export const COMMANDS: readonly Command[] = OWN_COMMANDS.map(withSelection);

/** All commands, get-token first. */
export const ALL_COMMANDS: readonly CommandDescription[] = [GET_TOKEN_COMMAND, ...COMMANDS];
