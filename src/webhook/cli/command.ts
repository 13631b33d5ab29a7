/** A command of k8s-keystone-auth other than the server. */
import type { Host } from '../../shared/base/host.ts';
import type { Layer } from '../../shared/options/layer.ts';
import type { Option } from '../../shared/options/option.ts';
import type { CommandDescription } from '../../shared/yargs/command-description.ts';
import type { WebhookOptionGroup, WebhookOptionName } from './options.ts';

/** Options that only commands have. */
export type RequestOptionName =
  'user' | 'uid' | 'groups' | 'projects' | 'roles' | 'verb' | 'resource' | 'namespace' | 'path';

export type CommandOption = Option<WebhookOptionName | RequestOptionName, WebhookOptionGroup>;

/** To add one, write a file with this value, list it in `commands.ts`, and test it. */
export interface WebhookCommand extends CommandDescription<CommandOption> {
  /**
   * @param words the arguments of the command
   * @returns the exit status
   * @throws PluginError if the command fails
   */
  run(
    host: Host,
    flags: Layer<WebhookOptionName | RequestOptionName>,
    words: readonly string[],
  ): number | Promise<number>;
}
