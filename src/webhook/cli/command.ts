/** A command of k8s-keystone-auth other than the server. */
import type { Clock } from '../../shared/base/clock.ts';
import type { Host } from '../../shared/base/host.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import type { CommandDescription } from '../../shared/yargs/command-description.ts';
import type { IssuerOptionName } from './issuer/issuer-options.ts';
import type { CommandOptionGroup, WebhookOptionName } from './options.ts';

/** Options that only commands have. */
export type RequestOptionName =
  'user' | 'uid' | 'groups' | 'projects' | 'domains' | 'roles' | 'verb' | 'resource' | 'namespace' | 'path';

export type CommandOptionName = WebhookOptionName | RequestOptionName | IssuerOptionName;

export type CommandOption = Option<CommandOptionName, CommandOptionGroup>;

/** To add one, write a file with this value, list it in `commands.ts`, and test it. */
export interface WebhookCommand extends CommandDescription<CommandOption> {
  /**
   * @param words the arguments of the command
   * @param clock of the server that the command starts, if it starts one
   * @returns the exit status
   * @throws PluginError if the command fails
   */
  run(host: Host, flags: Layer<CommandOptionName>, words: readonly string[], clock: Clock): number | Promise<number>;
}
