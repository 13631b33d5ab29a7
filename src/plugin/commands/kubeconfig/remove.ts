import { ConfigError, UsageError } from '../../../shared/base/errors.ts';
import { textAt } from '../../../shared/base/json.ts';
import { isPluginUser } from '../../kubeconfig/user-kind.ts';
import type { Kubeconfig } from '../../kubeconfig/kubeconfig.ts';
import { OUTPUT_OPTION } from '../command.ts';
import type { CommandResult, Invocation, Command } from '../command.ts';
import { openCommandKubeconfig } from './open-kubeconfig.ts';
import type { ContextNames } from './context.ts';
import { saveOrPreview } from './save-or-preview.ts';
import { DRY_RUN_OPTION } from './options.ts';

function findContext(kubeconfig: Kubeconfig, { args, ownConfig }: Invocation): ContextNames {
  const context = args[0] ?? ownConfig.text('context') ?? kubeconfig.currentContext;
  if (context === undefined)
    throw new UsageError('there is no current context', { hint: 'name the context to remove' });
  const entry = kubeconfig.find('context', context);
  if (entry === undefined) {
    throw new UsageError(`the kubeconfig has no context "${context}"`, { hint: 'list them with "kubeconfig show"' });
  }
  const user = textAt(entry.value, 'user') ?? '';
  const userEntry = kubeconfig.find('user', user);
  // A context without a user does not work, so it can be removed as well.
  if (userEntry !== undefined && !isPluginUser(userEntry.value)) {
    throw new ConfigError(`the user of context "${context}" does not log in with client-keystone-auth`, {
      hint: 'remove the context with "kubectl config delete-context"',
    });
  }
  return { context, user, cluster: textAt(entry.value, 'cluster') ?? '' };
}

async function remove(call: Invocation): Promise<CommandResult> {
  const kubeconfig = openCommandKubeconfig(call);
  const { context, user, cluster } = findContext(kubeconfig, call);
  kubeconfig.remove('context', context);
  kubeconfig.unsetCurrentContext(context);
  const isShared = kubeconfig
    .listNames('context')
    .some((name) => textAt(kubeconfig.find('context', name)?.value, 'user') === user);
  if (!isShared) kubeconfig.remove('user', user);
  const message = isShared
    ? `Removed context ${context}. User ${user} stays, because other contexts use it. Cluster ${cluster} stays.`
    : `Removed context ${context} and user ${user}. Cluster ${cluster} stays.`;
  return saveOrPreview(call, kubeconfig, { messages: [message], data: { context, user: isShared ? null : user } });
}

/** Removes what `kubeconfig add` has added. */
export const kubeconfigRemoveCommand: Command = {
  words: ['kubeconfig', 'remove'],
  task: 'Set up',
  summary: 'remove a context that logs in with this program, and its user unless other contexts use it',
  details: ['The cluster and the cached tokens stay.'],
  arguments: [{ name: 'CONTEXT', help: 'context to remove; by default the current one' }],
  options: [DRY_RUN_OPTION, OUTPUT_OPTION],
  contextUse: 'subject',
  getTokenOptions: 'run',
  examples: [{ line: 'kubeconfig remove --dry-run', summary: 'show what would be removed with the current context' }],
  run: remove,
};
