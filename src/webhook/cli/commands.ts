/** Lists the commands of k8s-keystone-auth. Without a command, it serves. */
import type { WebhookCommand } from './command.ts';
import { makeHelpCommand, versionCommand } from './help.ts';
import { issuerCommand, issuerKeysCommand, issuerRotateCommand } from './issuer/issuer-commands.ts';
import { policyLintCommand, policyTestCommand } from './policy-command.ts';

/** All commands, in the order of the help. */
export const WEBHOOK_COMMANDS: readonly WebhookCommand[] = [
  policyTestCommand,
  policyLintCommand,
  issuerCommand,
  issuerKeysCommand,
  issuerRotateCommand,
  makeHelpCommand(() => WEBHOOK_COMMANDS),
  versionCommand,
];
